"""What a bridged guest may expect of the LAN beyond its lease: that nobody else is who it is."""

import pytest

from qemunet_tests.observe.arp import owners
from qemunet_tests.observe.bridge import ports_of_mac
from qemunet_tests.observe.icmp import FULL_SIZE_BYTES, ping
from qemunet_tests.observe.lease import lease
from qemunet_tests.observe.process import tap_of

# On a host, until its operator has named a bridge, nothing of this mode is tried.
pytestmark = pytest.mark.usefixtures("named_bridge")

NO_LEASE = "the guest got no lease"


@pytest.mark.claim("bridge/address-unique")
def test_nobody_else_has_the_address(bridge_guest, claim):
    got = lease(bridge_guest)
    assert got, NO_LEASE
    others = owners(bridge_guest, got.address)
    claim.sees(f"{got.address}: {', '.join(others) or 'nobody else'}")
    assert others == [], f"somebody else on the LAN has {got.address} too: {', '.join(others)}"


@pytest.mark.claim("bridge/mac-unique")
def test_the_guests_mac_is_behind_its_tap_alone(bridge_guest, target, claim):
    claim.expects(f"behind {tap_of(bridge_guest)} alone")
    got = lease(bridge_guest)
    assert got, NO_LEASE
    ports = ports_of_mac(target.host, target.bridge, bridge_guest.macs[0])
    claim.sees(f"behind {', '.join(sorted(ports)) or 'no port'}")
    assert ports == {tap_of(bridge_guest)}, f"somebody else sends as {bridge_guest.macs[0]}"


@pytest.mark.claim("bridge/full-size-packets")
def test_packets_of_full_size_reach_the_gateway(bridge_guest, claim):
    got = lease(bridge_guest)
    assert got, NO_LEASE
    small, full = (ping(bridge_guest, got.gateway, size_bytes=size) for size in (56, FULL_SIZE_BYTES))
    claim.sees(f"of 56 bytes {small.received} of 3, of {FULL_SIZE_BYTES} bytes {full.received} of 3 answered")
    assert (small.received, full.received) == (3, 3)


@pytest.mark.claim("bridge/lease-server")
def test_the_lease_comes_from_the_lans_own_server(bridge_guest, target, claim):
    claim.expects(target.lan.server)
    got = lease(bridge_guest)
    assert got, NO_LEASE
    assert claim.sees(got.server) == target.lan.server
