"""The bridge helper's access list: who may join which bridge, in the helper's own words."""

import pytest

from qemunet_tests.conformance.promises import promise
from qemunet_tests.modes.bridge import netdev
from qemunet_tests.network import private_etc
from qemunet_tests.observe.bridge import STARTED, helper_answer

# On a host, until its operator has named a bridge, nothing of this mode is tried.
pytestmark = pytest.mark.usefixtures("named_bridge")

DENIED = "access denied by acl file"
UNREAD = "failed to parse default acl file `{}'"
#: What the helper shows of a line that it does not understand, and then goes on.
BAD_LINE = "Invalid config line: / nonsense"


@pytest.mark.parametrize(
    ("bridge", "expected"),
    [
        promise("bridge/acl-allow", "{}", STARTED),
        promise("bridge/acl-not-listed", "br-unlisted", DENIED),
    ],
)
def test_only_a_bridge_that_is_listed_may_be_used(bench, target, claim, bridge, expected):
    """{} is the bridge that is tried."""
    said = claim.sees(helper_answer(bench.attempt(netdevs=[netdev(bridge.format(target.bridge))])))
    assert said == claim.expects(expected), f"asked for {bridge.format(target.bridge)}: {said}"


@pytest.mark.usefixtures("access_list")
@pytest.mark.parametrize(
    ("rules", "included", "expected"),
    [
        promise("bridge/acl-allow", "# who may\n\n  allow   {0}  \n\n#deny {0}\n", "", STARTED),
        promise("bridge/acl-allow", "allow {0}x\nallow {0}\n", "", STARTED),
        promise("bridge/acl-allow", "allow all\n", "", STARTED),
        promise("bridge/acl-not-listed", "", "", DENIED),
        promise("bridge/acl-not-listed", "# allow {0}\n", "", DENIED),
        promise("bridge/acl-not-listed", "allow {0}x\nallow x{0}\nallow {2}\n", "", DENIED),
        promise("bridge/acl-deny", "allow {0}\ndeny {0}\n", "", DENIED),
        promise("bridge/acl-deny", "deny {0}\nallow {0}\n", "", DENIED),
        promise("bridge/acl-deny", "deny all\nallow {0}\n", "", DENIED),
        promise("bridge/acl-include", "include {1}\n", "allow {0}\n", STARTED),
        promise("bridge/acl-include", "allow {0}\ninclude {1}\n", "deny {0}\n", DENIED),
        promise("bridge/acl-all", "allow all\n", "", STARTED),
        promise("bridge/acl-all", "include {1}\n", "allow all\n", STARTED),
        promise("bridge/acl-all", "allow {0}\ndeny all\n", "", DENIED),
        promise("bridge/acl-all", "allow all\ndeny all\n", "", DENIED),
        promise("bridge/acl-deny-wins", "allow {0}\ndeny {0}\nallow {0}\n", "", DENIED),
        promise("bridge/acl-deny-wins", "deny {0}\nallow {0}\nallow all\n", "", DENIED),
        promise("bridge/acl-deny-wins", "include {1}\nallow {0}\nallow all\n", "deny {0}\n", DENIED),
        promise("bridge/acl-no-patterns", "allow {2}*\nallow {2}?\nallow *\nallow {3}\n", "", DENIED),
        promise("bridge/acl-no-patterns", "allow {0}\ndeny {2}*\ndeny {2}?\ndeny *\ndeny {3}\n", "", STARTED),
        promise("bridge/acl-comments", "allow {0} # x\n", "", DENIED),
        promise("bridge/acl-comments", "# deny {0}\nallow {0}\n  # deny all\ndeny {0} # x\n", "", STARTED),
        promise("bridge/acl-include-broken", "include {1}.absent\nallow {0}\n", "", STARTED),
        promise("bridge/acl-include-broken", "include {1}\nallow {0}\n", "nonsense\ndeny {0}\n", STARTED),
        promise("bridge/acl-include-broken", "include {1}\n", "allow {0}\nblock {0}\ndeny {0}\n", STARTED),
        promise(
            "bridge/acl-include-broken",
            "include {1}\nallow {0}\n",
            "deny {0}\nnonsense\n",
            f"{BAD_LINE} / {DENIED}",
        ),
    ],
)
def test_what_the_rules_decide(bench, target, claim, rules, included, expected):
    """Of the bridge {0}, with a file {1} that may be included.

    {2} is how the bridge's name begins, {3} all of it in capitals.
    """
    other = private_etc.replace("qemu/more.conf", included.format(target.bridge))
    written = rules.format(target.bridge, other, target.bridge[:-1], target.bridge.upper())
    private_etc.replace("qemu/bridge.conf", written)
    said = claim.sees(helper_answer(bench.attempt(netdevs=[netdev(target.bridge)])))
    assert said == claim.expects(expected), f"with the list {' '.join(written.split())}: {said}"


@pytest.mark.claim("bridge/acl-missing")
def test_without_an_access_list_no_bridge_may_be_used(bench, target, access_list, claim):
    access_list.unlink()
    attempt = bench.attempt(netdevs=[netdev(target.bridge)])
    assert claim.sees(helper_answer(attempt)) == claim.expects(UNREAD.format(bench.qemu.access_list))


@pytest.mark.claim("bridge/acl-unreadable")
def test_an_access_list_closed_to_qemus_user_is_none(bench, target, access_list, claim):
    # Root's own file is closed to others; an ordinary user's own file has to be closed to himself.
    access_list.chmod(0 if access_list.stat().st_uid == bench.identity.uid else 0o600)
    attempt = bench.attempt(netdevs=[netdev(target.bridge)])
    assert claim.sees(helper_answer(attempt)) == claim.expects(UNREAD.format(bench.qemu.access_list))
