"""What a test's guests leave behind is told as the bench's fault, once, and changes no verdict."""

import re

from meta_tests.isolation.runs import START_SECONDS, Start, by_root_first, citing
from meta_tests.patience import limit

pytest_plugins = "meta_tests.isolation.runs"

#: Of two tests, the first of which is made to leave something.
CLAIMS = ("user/address", "user/gateway")
CONFORMANCE = ("--pyargs", "qemunet_tests.conformance", "-p", "no:cacheprovider", "--qemunet-accel=tcg")


@by_root_first
def test_a_leak_is_the_benchs_fault(start: Start) -> None:
    run = start("meta_tests.planted.leaking_bench", *CONFORMANCE, *citing(*CLAIMS))
    assert run.process.wait(limit(START_SECONDS)) == 3, run.output
    told = re.findall(r"^the bench did not clean up: (\w+).* left (.*)$", run.output, re.MULTILINE)
    assert [culprit for culprit, _ in told] == ["test_dhcp_gives_an_address_of_the_network"] * 4 + ["the"], told
    left = "\n".join(thing for _, thing in told)
    for thing in ("(sleep 1000)", "the socket forgotten.sock", "the folder guest-", "-name guest-", "(sleep 2000)"):
        assert thing in left, (thing, left)
    assert "2 claims: 2 holds" in run.output
    assert run.leaves_nothing(), run.leftovers()
