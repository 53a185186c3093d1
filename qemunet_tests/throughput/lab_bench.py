"""The bench for recordings: booted guests whose wires nobody writes down."""

import contextlib
import os
from collections.abc import Iterator

from qemunet_tests.guest.bench import Bench
from qemunet_tests.isolation import namespaces
from qemunet_tests.isolation.processes import Spawner
from qemunet_tests.network import Lab
from qemunet_tests.qemu.guest_machine import GuestMachine


@contextlib.contextmanager
def entered(machine: GuestMachine) -> Iterator[tuple[Bench, Lab]]:
    """Enter the lab with this process, for good; afterwards nothing that was started is left."""
    namespaces.enter()
    with (
        contextlib.closing(Spawner(os.getpid())) as spawner,
        contextlib.closing(Lab(spawner)) as lab,
        contextlib.closing(Bench(machine, lab.host, cold=True, captures=False)) as bench,
    ):
        yield bench, lab
