"""From how tests end to verdicts: every verdict in every phase, several tests of one claim, and workers."""

import json
from pathlib import Path
from typing import Any

import pytest

from meta_tests.inner_session import imported_once, nobodys_worker  # noqa: F401
from qemunet_tests import diagnosis
from qemunet_tests.host.obstacle import Obstacle

pytest_plugins = "pytester"

PREAMBLE = """
import pytest
from qemunet_tests.errors import HarnessError, TimedOut, Unavailable, UsageError

@pytest.fixture
def fails_in_setup(): assert 1 == 2, "no lease in setup"

@pytest.fixture
def fails_in_teardown():
    yield
    assert 1 == 2, "leak in teardown"

@pytest.fixture
def dies_in_setup(): raise HarnessError("QEMU ended with status 1\\nqemu: no such device")

@pytest.fixture
def dies_in_teardown():
    yield
    raise TimedOut("gave up after 5 s waiting for the guest to end")

@pytest.fixture
def gives_up_in_setup(): pytest.fail("this fixture cannot be used so")

@pytest.fixture
def skips_in_teardown():
    yield
    pytest.skip("too late to say")

@pytest.fixture
def unavailable_in_teardown():
    yield
    raise Unavailable("no way to clean up", "none")

@pytest.fixture
def unavailable(): raise Unavailable("no setuid helper", "chmod u+s the helper")

@pytest.fixture(scope="session")
def unavailable_for_all(): raise Unavailable("no lab", "run as root")
"""


def verdicts(pytester: pytest.Pytester, body: str, *arguments: str) -> dict[str, dict[str, Any]]:
    """Run tests that cite claims, outside the lab, and read results.json."""
    pytester.makepyfile(test_it=PREAMBLE + body)
    run = pytester.runpytest_subprocess if "-n" in arguments else pytester.runpytest_inprocess
    run("--qemunet-target", "host", "--qemunet-report", "out", "-p", "no:cacheprovider", *arguments)
    document = json.loads((pytester.path / "out" / "results.json").read_text())
    return {each["claim"]: each for each in document["verdicts"]}


def one(pytester: pytest.Pytester, test: str) -> dict[str, Any]:
    """The verdict on a single test of user/address."""
    return verdicts(pytester, f"\n@pytest.mark.claim('user/address')\n{test}")["user/address"]


@pytest.mark.parametrize(
    ("test", "verdict", "reason", "remedy"),
    [
        ("def test_it(): pass", "holds", None, None),
        ("def test_it(claim): claim.deviates('as explained')", "deviates", "as explained", None),
        ("def test_it(): assert 1 == 2, 'no lease'", "broken", "no lease", None),
        ("def test_it(): assert 1 == 2", "broken", "assert 1 == 2", None),
        (
            "def test_it(claim): assert claim.sees('10.0.2.1\\n5/24') == claim.expected",
            "broken",
            "observed 10.0.2.1 5/24, where 10.0.2.15/24 is promised",
            None,
        ),
        # What was seen is in order: then it is the assertion that says what is not.
        ("def test_it(claim):\n    claim.sees(claim.expected)\n    assert 1 == 2", "broken", "assert 1 == 2", None),
        ("def test_it(fails_in_setup): pass", "broken", "no lease in setup", None),
        ("def test_it(fails_in_teardown): pass", "broken", "leak in teardown", None),
        ("def test_it():\n    with pytest.raises(OSError): pass", "broken", "DID NOT RAISE", None),
        ("def test_it(): pytest.fail('not so')", "broken", "not so", None),
        ("def test_it(): raise HarnessError('no console')", "inconclusive", "no console", None),
        ("def test_it(): {}['key']", "inconclusive", "KeyError: 'key'", None),
        (
            "def test_it(): raise OSError(5, 'broken\\nwire')",
            "inconclusive",
            "OSError: [Errno 5] broken",
            None,
        ),
        (
            "def test_it(dies_in_setup): pass",
            "inconclusive",
            "QEMU ended with status 1; qemu: no such device",
            None,
        ),
        ("def test_it(dies_in_teardown): pass", "inconclusive", "gave up after 5 s waiting for", None),
        ("def test_it(gives_up_in_setup): pass", "inconclusive", "cannot be used so", None),
        ("def test_it(skips_in_teardown): pass", "inconclusive", "too late to say", None),
        ("def test_it(unavailable_in_teardown): pass", "inconclusive", "no way to clean up", None),
        ("def test_it(no_such_fixture): pass", "inconclusive", "no_such_fixture", None),
        ("def test_it(): raise UsageError('odd')", "inconclusive", "UsageError: odd", None),
        ("def test_it(): raise SystemExit(3)", "inconclusive", "SystemExit: 3", None),
        ("def test_it(unavailable): pass", "unavailable", "no setuid helper", "chmod u+s the helper"),
        ("def test_it(unavailable_for_all): pass", "unavailable", "no lab", "run as root"),
        ("def test_it(): raise Unavailable('no KVM', 'load kvm')", "unavailable", "no KVM", "load kvm"),
        ("def test_it(): pytest.skip('not today')", "unavailable", "not today", None),
        ("@pytest.mark.skip(reason='never')\ndef test_it(): pass", "unavailable", "never", None),
        ("@pytest.mark.xfail\ndef test_it(): assert 0, 'still so'", "broken", "still so", None),
    ],
)
def test_one_test(pytester: pytest.Pytester, test: str, verdict: str, reason: str | None, remedy: str | None) -> None:
    found = one(pytester, test)
    assert found["verdict"] == verdict
    assert found["remedy"] == remedy
    if reason is None:
        assert found["reason"] is None
    else:
        assert reason in found["reason"]
        assert "\n" not in found["reason"]


@pytest.mark.parametrize(
    ("test", "verdict"),
    [
        ("def test_it(unavailable, dies_in_teardown): pass", "unavailable"),
        ("def test_it(dies_in_teardown, unavailable): pass", "inconclusive"),
        ("def test_it(dies_in_teardown): assert 0, 'x'", "broken"),
        ("def test_it(dies_in_teardown, claim): claim.deviates('x')", "inconclusive"),
        ("def test_it(dies_in_teardown, fails_in_teardown): pass", "inconclusive"),
        ("def test_it(claim):\n    claim.deviates('x')\n    assert 0, 'y'", "broken"),
    ],
)
def test_phases_that_end_differently(pytester: pytest.Pytester, test: str, verdict: str) -> None:
    assert one(pytester, test)["verdict"] == verdict


def test_what_a_test_says_reaches_the_report(pytester: pytest.Pytester) -> None:
    found = one(
        pytester,
        """def test_it(claim, request):
    assert (claim.id, claim.expected) == ("user/address", "10.0.2.15/24")
    assert claim.expects("10.9.9.9/16") == "10.9.9.9/16"
    claim.sees("an early value")
    assert claim.sees(["10.0.2.15"]) == ["10.0.2.15"]
    request.node.user_properties.append(("qemunet.artifact", "/a/serial.log"))
    request.node.user_properties.append(("qemunet.artifact", "/a/repro.sh"))
    claim.blames("the MAC is used twice", "give it another")
    assert 0, "no lease"
""",
    )
    assert (found["expected"], found["observed"]) == ("10.9.9.9/16", "10.0.2.15")
    assert (found["reason"], found["remedy"]) == ("the MAC is used twice", "give it another")
    assert found["artifacts"] == ["/a/serial.log", "/a/repro.sh"]
    assert found["tests"] == ["test_it::test_it"]
    assert found["mode"] == "user"


def test_what_a_guest_says_cannot_spoil_the_report(pytester: pytest.Pytester) -> None:
    found = one(
        pytester,
        "def test_it(claim):\n    claim.sees('\\x1b[2Jgone\\x00 \\udcff é')\n    assert 0, '\\x07 bell'",
    )
    assert found["observed"] == "\\x1b[2Jgone\\x00 \\udcff é"
    assert found["reason"] == "\\x07 bell"


def test_blame_does_not_turn_a_pass_into_a_failure(pytester: pytest.Pytester) -> None:
    found = one(pytester, "def test_it(claim): claim.blames('nobody')")
    assert (found["verdict"], found["reason"]) == ("holds", None)


def test_the_cause_that_diagnosis_finds_comes_first(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    def cause_of(claim: Any, fixtures: Any, failure: BaseException) -> Obstacle:
        seen.append((claim.id, {"tmp_path", "claim"} <= {*fixtures}, str(failure).splitlines()[0]))
        return Obstacle("the bridge is down", "ip link set br0 up")

    monkeypatch.setattr(diagnosis, "cause_of", cause_of)
    found = one(
        pytester,
        """def test_it(tmp_path, claim):
    claim.blames("something else")
    assert 0, "no lease"
""",
    )
    assert (found["reason"], found["remedy"]) == ("the bridge is down", "ip link set br0 up")
    assert seen == [("user/address", True, "no lease")]


def test_diagnosis_is_asked_while_fixtures_live_and_only_when_broken(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    states = []
    monkeypatch.setattr(
        diagnosis,
        "cause_of",
        lambda claim, fixtures, failure: states.append((claim.id, fixtures["alive"][0])),
    )
    verdicts(
        pytester,
        """
@pytest.fixture
def alive():
    state = ["up"]
    yield state
    state[0] = "down"

@pytest.mark.claim('user/address')
def test_broken(alive): assert 0

@pytest.mark.claim('user/gateway')
def test_holds(alive): pass

@pytest.mark.claim('user/e1000')
def test_inconclusive(alive): raise HarnessError("x")
""",
    )
    # It breaks without a cause, and so is tried again.
    assert states == [("user/address", "up")] * 2


def test_a_failing_diagnosis_does_not_hide_the_failure(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cause_of(*_: object) -> None:
        raise RuntimeError("cannot look")

    monkeypatch.setattr(diagnosis, "cause_of", cause_of)
    found = one(pytester, "def test_it(): assert 0, 'no lease'")
    assert found["verdict"] == "broken"
    assert found["reason"].startswith("no lease")
    assert "cannot look" in found["reason"]


SEVERAL = """
@pytest.mark.claim('user/address')
@pytest.mark.parametrize("nic", ["e1000", "virtio-net-pci", "rtl8139"])
def test_address(nic, claim):
    claim.sees(nic)
    assert nic != "virtio-net-pci", "no lease on virtio"

@pytest.mark.claim('user/gateway')
def test_gateway(unavailable): pass

@pytest.mark.claim('user/gateway')
def test_gateway_again(): pass

@pytest.mark.claim('bridge/acl-allow')
def test_acl(unavailable): pass

@pytest.mark.claim('bridge/acl-allow')
def test_acl_again(unavailable): pass

@pytest.mark.claim('user/e1000')
def test_deviates(claim): claim.deviates("known")

@pytest.mark.claim('user/e1000')
def test_holds(): pass

@pytest.mark.claim('user/dns-offered')
def test_dies(dies_in_teardown): pass

def test_without_a_claim(): pass
"""


def test_several_tests_take_the_worst(pytester: pytest.Pytester) -> None:
    found = verdicts(pytester, SEVERAL)
    assert {claim: each["verdict"] for claim, each in found.items()} == {
        "user/address": "broken",
        "user/gateway": "holds",
        "bridge/acl-allow": "unavailable",
        "user/e1000": "deviates",
        "user/dns-offered": "inconclusive",
    }
    assert found["user/address"]["observed"] == "virtio-net-pci"
    assert found["user/address"]["reason"] == "no lease on virtio"
    assert len(found["user/address"]["tests"]) == 3
    assert found["user/e1000"]["reason"] == "known"


def test_workers_report_the_same_as_one_process(pytester: pytest.Pytester) -> None:
    alone = verdicts(pytester, SEVERAL, "-n", "0")
    spread = verdicts(pytester, SEVERAL, "-n", "2", "--dist", "worksteal")
    for each in (*alone.values(), *spread.values()):
        assert each.pop("seconds") >= 0
        assert each.pop("cpu_seconds") >= 0
    assert list(alone) == list(spread)
    assert alone == spread


def test_a_claim_whose_process_dies_is_inconclusive(pytester: pytest.Pytester) -> None:
    found = verdicts(
        pytester,
        """
import os

@pytest.fixture
def deadly(): os._exit(9)

@pytest.mark.claim('user/address')
def test_dies_in_call(): os._exit(9)

@pytest.mark.claim('user/gateway')
def test_dies_in_setup(deadly): pass

@pytest.mark.claim('user/dns-offered')
def test_lives(): pass
""",
        "-n",
        "2",
    )
    assert {claim: each["verdict"] for claim, each in found.items()} == {
        "user/address": "inconclusive",
        "user/gateway": "inconclusive",
        "user/dns-offered": "holds",
    }
    assert "died" in found["user/address"]["reason"]


def test_junit_has_claim_and_verdict(pytester: pytest.Pytester) -> None:
    verdicts(pytester, SEVERAL)
    xml = (Path(pytester.path) / "out" / "junit.xml").read_text()
    assert '<property name="claim" value="user/address" />' in xml
    assert '<property name="verdict" value="broken" />' in xml
    assert xml.count('<property name="claim"') == 10
