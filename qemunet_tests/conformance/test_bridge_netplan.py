"""The bridge itself: made by the post's netplan file, and what spanning tree would do to its guests."""

import pytest

from qemunet_tests.harness.netdev import Bridge
from qemunet_tests.observe.bridges import bridge
from qemunet_tests.observe.delay import seconds_to_lease
from qemunet_tests.observe.lease import lease


@pytest.mark.claim("bridge/netplan-makes-bridge")
@pytest.mark.usefixtures("bench", "target")
def test_netplan_makes_the_documented_bridge(netplan_host, claim):
    made = bridge(netplan_host.station, "br0")
    assert claim.sees(str(made or "no br0")) == claim.expected, "br0 is not as documented"


@pytest.mark.claim("bridge/netplan-lease")
def test_a_guest_gets_its_lease_over_that_bridge(netplan_guest, target, claim):
    claim.expects(target.lan.pool)
    got = lease(netplan_guest)
    assert got, "the guest got no lease"
    assert target.lan.leases(claim.sees(got.address))


@pytest.mark.claim("bridge/stp-delays-lease")
@pytest.mark.lengthy
def test_spanning_tree_delays_the_lease(boot_bridged, target, stp_bridge, claim):
    blocked_seconds = 2 * stp_bridge.forward_delay_seconds
    claim.expects(f"a lease after {blocked_seconds} s with spanning tree, at once without")
    without = seconds_to_lease(lambda: boot_bridged(Bridge(target.bridge)), 8)
    with_tree = seconds_to_lease(lambda: boot_bridged(Bridge(stp_bridge.name)), blocked_seconds + 8)
    assert without and with_tree, "a guest got no lease"
    claim.sees(f"a lease after {with_tree:.1f} s with spanning tree, {without:.1f} s without")
    assert without < blocked_seconds <= with_tree, "spanning tree makes no difference"
