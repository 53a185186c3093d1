"""Where a bench is put together: the same for a session's fixtures, for commands, and for benchmarks."""

import contextlib
import os
from collections.abc import Iterator
from dataclasses import replace

from qemunet_tests import images
from qemunet_tests.errors import HarnessError
from qemunet_tests.guest.bench import Bench, BenchEvents
from qemunet_tests.guest.living_guests import release_lease
from qemunet_tests.isolation import namespaces
from qemunet_tests.isolation.processes import Spawner
from qemunet_tests.isolation.station import Station
from qemunet_tests.network import Lab
from qemunet_tests.network.fixed_mac import fixed_mac
from qemunet_tests.qemu.accel import Accel
from qemunet_tests.qemu.guest_machine import GuestMachine
from qemunet_tests.qemu.setuid_helper import HostHelper
from qemunet_tests.settings import Settings
from qemunet_tests.under_test import chosen_qemu, guests_identity


def machine_of(settings: Settings, accel: Accel, kind: type[GuestMachine] = GuestMachine) -> GuestMachine:
    """What guests boot on: the QEMU and the image that were asked for, which `prerequisites.prepare` has seen to.

    Raises as `chosen_qemu` does, HarnessError where the image is gone meanwhile: that speaks against no promise, and
    from a lab nobody could build another.
    """
    if (image := images.available(settings.image)) is None:
        raise HarnessError(f"the guest image {settings.image!r} was there when this began, and is gone")
    return kind(chosen_qemu(settings), image, accel)


def bench_of(settings: Settings, machine: GuestMachine, station: Station, events: BenchEvents) -> Bench:
    """The bench of a session. On a real host its guests have one MAC address a mode, and give their leases back."""
    if settings.target == "lab":
        return Bench(machine, station, events, cold=settings.cold)
    return Bench(
        machine,
        station,
        replace(events, before_discard=release_lease),
        cold=settings.cold,
        identity=guests_identity(settings),
        helper=HostHelper(machine.qemu.helper_path),
        choose_mac=lambda nic, _: fixed_mac(nic.netdev.kind),
    )


@contextlib.contextmanager
def in_a_lab(
    machine: GuestMachine,
    events: BenchEvents = BenchEvents(),  # noqa: B008  (frozen)
    *,
    cold: bool = False,
    captures: bool = True,
) -> Iterator[tuple[Bench, Lab]]:
    """Enter a lab with this process, for good, and have a bench at its host; afterwards nothing is left of either."""
    namespaces.enter()
    with (
        contextlib.closing(Spawner(os.getpid())) as spawner,
        contextlib.closing(Lab(spawner)) as lab,
        contextlib.closing(Bench(machine, lab.host, events, cold=cold, captures=captures)) as bench,
    ):
        yield bench, lab
