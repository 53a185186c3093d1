"""The bridge helper's access list: who may join which bridge, in the helper's own words."""

import pytest

from qemunet_tests.modes.bridge import netdev
from qemunet_tests.network import private_etc
from qemunet_tests.observe.bridge import STARTED, helper_answer

# On a host, until its operator has named a bridge, nothing of this mode is tried.
pytestmark = pytest.mark.usefixtures("named_bridge")

DENIED = "access denied by acl file"


@pytest.mark.claim("bridge/acl-allow")
def test_an_allowed_bridge_may_be_used(bench, target, claim):
    attempt = bench.attempt(netdevs=[netdev(target.bridge)])
    assert claim.sees(helper_answer(attempt)) == claim.expects(STARTED)


@pytest.mark.claim("bridge/acl-not-listed")
def test_a_bridge_that_is_not_listed_may_not_be_used(bench, claim):
    attempt = bench.attempt(netdevs=[netdev("br-unlisted")])
    assert claim.sees(helper_answer(attempt)) == claim.expected


@pytest.mark.claim("bridge/acl-deny")
@pytest.mark.usefixtures("access_list")
@pytest.mark.parametrize("rules", ["allow {0}\ndeny {0}\n", "deny {0}\nallow {0}\n", "deny all\nallow {0}\n"])
def test_a_deny_wins_wherever_it_stands(bench, target, rules, claim):
    private_etc.replace("qemu/bridge.conf", rules.format(target.bridge))
    attempt = bench.attempt(netdevs=[netdev(target.bridge)])
    assert claim.sees(helper_answer(attempt)) == claim.expected


@pytest.mark.claim("bridge/acl-include")
@pytest.mark.usefixtures("access_list")
@pytest.mark.parametrize(
    ("rules", "included", "expected"), [("", "allow", STARTED), ("allow {}\n", "deny", DENIED)], ids=["allow", "deny"]
)
def test_rules_of_an_included_file_count(bench, target, rules, included, expected, claim):
    other = private_etc.replace("qemu/more.conf", f"{included} {target.bridge}\n")
    private_etc.replace("qemu/bridge.conf", f"{rules.format(target.bridge)}include {other}\n")
    attempt = bench.attempt(netdevs=[netdev(target.bridge)])
    assert claim.sees(helper_answer(attempt)) == claim.expects(expected)


@pytest.mark.claim("bridge/acl-missing")
def test_without_an_access_list_no_bridge_may_be_used(bench, target, access_list, claim):
    access_list.unlink()
    attempt = bench.attempt(netdevs=[netdev(target.bridge)])
    assert claim.sees(helper_answer(attempt)) == claim.expected


@pytest.mark.claim("bridge/acl-unreadable")
def test_an_access_list_closed_to_qemus_user_is_none(bench, target, access_list, claim):
    # Root's own file is closed to others; an ordinary user's own file has to be closed to himself.
    access_list.chmod(0 if access_list.stat().st_uid == bench.identity.uid else 0o600)
    attempt = bench.attempt(netdevs=[netdev(target.bridge)])
    assert claim.sees(helper_answer(attempt)) == claim.expected
