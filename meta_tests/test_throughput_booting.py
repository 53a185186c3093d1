"""Guests to be measured: what a thawed one's NIC can do is what a booted one's can."""

from qemunet_tests.harness.bench import Bench
from qemunet_tests.harness.guest import Guest
from qemunet_tests.harness.netdev import Bridge, Nic
from qemunet_tests.throughput import booting

#: Bit 21 of virtio-net's features: announcing oneself after a migration, which no thawed guest does.
GUEST_ANNOUNCE = 21


def negotiated(guest: Guest) -> set[int]:
    """The feature bits that driver and backend agreed on."""
    bits = guest.check("cat /sys/class/net/eth0/device/features")
    return {number for number, bit in enumerate(bits) if bit == "1"} - {GUEST_ANNOUNCE}


def test_a_thawed_guest_has_all_that_its_tap_offers(bench: Bench) -> None:
    guests = [
        bench.boot(Nic(Bridge()), cold=True),
        bench.boot(Nic(Bridge()), network=False),
        bench.boot(Nic(Bridge())),
    ]
    try:
        guests[1].check(booting.NEGOTIATE_ANEW)
        booted, negotiating_anew, with_its_templates = map(negotiated, guests)
        assert negotiating_anew == booted > with_its_templates
        assert guests[1].await_lease(0, 10)
    finally:
        for guest in guests:
            bench.discard(guest)
