"""The bridge itself: made by the post's netplan file, and what spanning tree would do to its guests."""

import pytest

from qemunet_tests.errors import ControlFailed
from qemunet_tests.modes.bridge import netdev
from qemunet_tests.observe.bridge import made_by_netplan
from qemunet_tests.observe.dhcp import delay
from qemunet_tests.observe.lease import lease_of

# On a host, until its operator has named a bridge, nothing of this mode is tried.
pytestmark = pytest.mark.usefixtures("named_bridge")
#: How often more a guest without spanning tree is tried, should it be as late as one with.
MORE_TRIES = 2


@pytest.mark.claim("bridge/netplan-makes-bridge")
@pytest.mark.usefixtures("bench", "target")
def test_netplan_makes_the_documented_bridge(netplan_host, claim):
    made = made_by_netplan(netplan_host, "br0")
    assert claim.sees(str(made or "no br0")) == claim.expected, "br0 is not as documented"


@pytest.mark.claim("bridge/netplan-lease")
def test_a_guest_gets_its_lease_over_that_bridge(netplan_guest, target, claim):
    claim.expects(target.lan.pool)
    assert target.lan.leases(claim.sees(lease_of(netplan_guest).address))


@pytest.mark.claim("bridge/stp-delays-lease")
@pytest.mark.lengthy
def test_spanning_tree_delays_the_lease(bridge_guest_with, target, stp_bridge, claim):
    """Slowness makes an offer later and never earlier: so an early one says all, and a late one only beside controls.

    The controls are that the guest had asked early, and that another, without spanning tree, was answered early.
    """
    blocked_seconds = 2 * stp_bridge.forward_delay_seconds
    claim.expects(f"a lease after {blocked_seconds} s with spanning tree, at once without")
    with_tree = _delay(bridge_guest_with, stp_bridge.name, blocked_seconds + 8)
    without = _delay(bridge_guest_with, target.bridge, 8)
    for _ in range(MORE_TRIES):
        if without.offered_within(blocked_seconds):
            break
        without = _delay(bridge_guest_with, target.bridge, 8)
    claim.sees(f"offered a lease after {with_tree} with spanning tree, {without} without")
    assert not with_tree.offered_within(blocked_seconds), "spanning tree makes no difference"
    if not without.offered_within(blocked_seconds):
        raise ControlFailed(f"an offer takes {without} without spanning tree, too: the machine is too slow to tell")
    if not with_tree.asked_within(blocked_seconds):
        raise ControlFailed(f"the guest asked only after {with_tree.asked:.1f} s: the machine is too slow to tell")


def _delay(boot, bridge, within_seconds):
    guest = boot(netdev(bridge))
    assert lease_of(guest, within_seconds=within_seconds)
    return delay(guest)
