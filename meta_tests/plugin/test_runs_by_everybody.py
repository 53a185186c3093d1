"""What goes another way for root than for an ordinary user is kept for both: namespaces, the helper, netplan, pings."""

from meta_tests.isolation.runs import Start, by_everybody
from meta_tests.patience import limit

pytest_plugins = "meta_tests.isolation.runs"

CLAIMS = ("bridge/netplan-makes-bridge", "bridge/netplan-lease", "bridge/lease-address", "bridge/acl-unreadable",
          "user/no-privilege", "user/icmp-predicted", "user/smb-server")  # fmt: skip
RUN_SECONDS = 240.0


@by_everybody
def test_the_same_promises_hold(start: Start) -> None:
    run = start("qemunet_tests", "run", *CLAIMS, "-n", "1")
    assert run.process.wait(limit(RUN_SECONDS)) == 0, run.output
    assert f"{len(CLAIMS)} claims: {len(CLAIMS)} holds\n" in run.output
    assert run.leaves_nothing(), run.leftovers()
