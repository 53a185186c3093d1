"""Traceroute, where a router has told enough errors for this second."""

from collections.abc import Iterator

import pytest

from qemunet_tests.guest.bench import Bench
from qemunet_tests.guest.guest import Guest
from qemunet_tests.modes.bridge import BridgeNetdev
from qemunet_tests.network import Lab, lab_addresses
from qemunet_tests.observe.capture import GuestCapture
from qemunet_tests.observe.icmp import MOST_HOPS, SILENT, hops
from qemunet_tests.observe.lease import lease
from qemunet_tests.qemu.netdev import Nic


@pytest.fixture
def sparing_router(lab: Lab) -> Iterator[None]:
    """As Linux comes: an address is told six errors in a row, and then one a second (icmp(7), icmp_ratelimit)."""
    lab.router.set_sysctl("net.ipv4.icmp_ratelimit", "1000")
    yield
    lab.router.set_sysctl("net.ipv4.icmp_ratelimit", "0")


def use_up_the_errors(guest: Guest) -> None:
    probes = guest.check(f"traceroute -n -q 10 -N 10 -w 0.2 -m 1 {lab_addresses.OUTSIDE}")
    assert "*" in probes, "every one was answered"


@pytest.mark.usefixtures("sparing_router")
def test_who_was_silent_is_asked_again(bench: Bench) -> None:
    guest = bench.boot(Nic(BridgeNetdev()))
    assert lease(guest)
    use_up_the_errors(guest)
    assert hops(guest, lab_addresses.OUTSIDE) == (lab_addresses.ROUTER, lab_addresses.OUTSIDE)
    bench.discard(guest)


@pytest.fixture
def silent_router(lab: Lab) -> Iterator[None]:
    """Packets for outside end at the router, and it says nothing of that."""
    lab.router.run(f"ip route add blackhole {lab_addresses.OUTSIDE}")
    yield
    lab.router.run(f"ip route del blackhole {lab_addresses.OUTSIDE}")


@pytest.mark.usefixtures("silent_router")
def test_behind_a_silence_that_lasts_nobody_is_asked_twice(bench: Bench) -> None:
    guest = bench.boot(Nic(BridgeNetdev()))
    assert lease(guest)
    passing = GuestCapture(guest)
    assert hops(guest, lab_addresses.OUTSIDE) == (SILENT,) * MOST_HOPS
    # traceroute(8): every probe by UDP goes to a port of its own, one more than the last.
    ports = [sent.second for sent in passing.packets() if sent.target == lab_addresses.OUTSIDE]
    assert len(ports) > len(set(ports)) == MOST_HOPS
    assert [ports.count(port) for port in sorted(set(ports))[1:]] == [1] * (MOST_HOPS - 1)
    bench.discard(guest)
