"""The bench for recordings: booted guests whose wires nobody writes down."""

import contextlib
import os
from collections.abc import Iterator

from qemunet_tests.harness import namespaces
from qemunet_tests.harness.bench import Bench
from qemunet_tests.harness.lab import Lab
from qemunet_tests.harness.machine import Machine
from qemunet_tests.harness.processes import Spawner


@contextlib.contextmanager
def entered(machine: Machine) -> Iterator[tuple[Bench, Lab]]:
    """Enter the lab with this process, for good; afterwards nothing that was started is left."""
    namespaces.enter()
    with (
        contextlib.closing(Spawner(os.getpid())) as spawner,
        contextlib.closing(Lab(spawner)) as lab,
        contextlib.closing(Bench(machine, lab.host, cold=True, captures=False)) as bench,
    ):
        yield bench, lab
