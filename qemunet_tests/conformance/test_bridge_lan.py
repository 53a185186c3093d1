"""What a bridged guest may expect of the LAN beyond its lease: that nobody else is who it is."""

import pytest

from qemunet_tests.observe.arp import owners
from qemunet_tests.observe.bridge import ports_of_mac
from qemunet_tests.observe.icmp import FULL_SIZE_BYTES, ping
from qemunet_tests.observe.lease import lease_of
from qemunet_tests.observe.process import tap_of

# On a host, until its operator has named a bridge, nothing of this mode is tried.
pytestmark = pytest.mark.usefixtures("named_bridge")


@pytest.mark.claim("bridge/address-unique")
def test_nobody_else_has_the_address(leased_guest, claim):
    address = lease_of(leased_guest).address
    others = owners(leased_guest, address)
    claim.sees(f"{address}: {', '.join(others) or 'nobody else'}")
    assert others == [], f"somebody else on the LAN has {address} too: {', '.join(others)}"


@pytest.mark.claim("bridge/mac-unique")
def test_the_guests_mac_is_behind_its_tap_alone(guest, target, claim):
    claim.expects(f"behind {tap_of(guest)} alone")
    assert lease_of(guest)
    ports = ports_of_mac(target.host, target.bridge, guest.macs[0])
    claim.sees(f"behind {', '.join(sorted(ports)) or 'no port'}")
    assert ports == {tap_of(guest)}, f"somebody else sends as {guest.macs[0]}"


@pytest.mark.claim("bridge/full-size-packets")
def test_packets_of_full_size_reach_the_gateway(leased_guest, claim):
    gateway = lease_of(leased_guest).gateway
    small, full = (ping(leased_guest, gateway, size_bytes=size) for size in (56, FULL_SIZE_BYTES))
    claim.sees(f"of 56 bytes {small.received} of 3, of {FULL_SIZE_BYTES} bytes {full.received} of 3 answered")
    assert (small.whole, full.whole) == (True, True), f"of 56 bytes {small}, of {FULL_SIZE_BYTES} bytes {full}"
