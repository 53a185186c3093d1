"""Guests to be measured: what a thawed one's NIC can do is what a booted one's can."""

import os

import pytest

from qemunet_tests.guest.bench import Bench
from qemunet_tests.guest.guest import Guest
from qemunet_tests.modes.bridge import BridgeNetdev
from qemunet_tests.modes.user import UserNetdev
from qemunet_tests.qemu.netdev import Nic
from qemunet_tests.throughput import booting
from qemunet_tests.throughput.placement import Placement, threads
from qemunet_tests.throughput.resident_guest import ResidentGuest
from qemunet_tests.throughput.variants import Arm

#: Bit 21 of virtio-net's features: announcing oneself after a migration, which no thawed guest does.
GUEST_ANNOUNCE = 21


def negotiated(guest: Guest) -> set[int]:
    """The feature bits that driver and backend agreed on."""
    bits = guest.check("cat /sys/class/net/eth0/device/features")
    return {number for number, bit in enumerate(bits) if bit == "1"} - {GUEST_ANNOUNCE}


def test_a_thawed_guest_has_all_that_its_tap_offers(bench: Bench) -> None:
    guests = [
        bench.boot(Nic(BridgeNetdev()), cold=True),
        bench.boot(Nic(BridgeNetdev()), network=False),
        bench.boot(Nic(BridgeNetdev())),
    ]
    try:
        booting.negotiate_anew(guests[1])
        booted, negotiating_anew, with_its_templates = map(negotiated, guests)
        assert negotiating_anew == booted > with_its_templates
        assert guests[1].await_lease(0, 10)
    finally:
        for guest in guests:
            bench.discard(guest)


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="one CPU cannot be split")
def test_the_guests_processor_has_a_cpu_of_its_own(bench: Bench) -> None:
    """QEMU's threads have no names that tell (`debug-threads=` is deprecated since 11.0): its monitor knows."""
    guest = bench.boot(Nic(UserNetdev()), network=False)
    subject = ResidentGuest(Arm("user", "virtio-net-pci"), guest, bench.station)
    placement = Placement("split")
    try:
        placement.pin(subject.pids, subject.processor_threads())
        pinned = [os.sched_getaffinity(thread) for thread in threads(guest.qemu.process.pid)]
    finally:
        bench.discard(guest)
    assert pinned.count(set(placement._guest)) == 1
    assert all(cpus in (set(placement._guest), set(placement.main_cpus)) for cpus in pinned)
    assert set(placement.main_cpus) not in (set(), set(placement._guest))
    assert len(pinned) > 1
