"""The pytest plugin as a session meets it: options, selection, facts, the lab, and leaving others alone."""

import json
import os
import sys
from typing import Any

import pytest

from meta_tests.inner_session import imported_once, nobodys_worker  # noqa: F401
from meta_tests.patience import soon

pytest_plugins = "pytester"

CITING = """
import pytest

@pytest.mark.claim("user/address")
def test_address(claim): claim.sees("10.0.2.15/24")

@pytest.mark.claim("user/dns-offered")
def test_dns(): pass

@pytest.mark.claim("bridge/acl-allow")
def test_acl(): pass

def test_mine(): pass
"""
OUTSIDE_THE_LAB = ("--qemunet-target", "host", "-p", "no:cacheprovider")


def results(pytester: pytest.Pytester) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((pytester.path / "out" / "results.json").read_text())
    return document


def claims(pytester: pytest.Pytester) -> list[str]:
    return [each["claim"] for each in results(pytester)["verdicts"]]


# A session that has nothing to do with qemunet


def test_an_unrelated_session_is_left_alone(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    # Another test of this process may have been a run of qemunet's.
    for name in [each for each in os.environ if each.startswith("QEMUNET_")]:
        monkeypatch.delenv(name)
    network = os.readlink("/proc/self/ns/net")  # noqa: PTH115
    pytester.makepyfile(
        f"""
import os, sys, tempfile
def test_untouched(tmp_path):
    assert os.readlink("/proc/self/ns/net") == {network!r}
    assert not [name for name in os.environ if name.startswith("QEMUNET_")]
    assert tmp_path.is_relative_to(tempfile.gettempdir())
    heavy = {{"pydantic", "rich", "scapy", "pyroute2", "paramiko", "pexpect"}} & set(sys.modules)
    assert not heavy
"""
    )
    outcome = pytester.runpytest_subprocess("-p", "no:cacheprovider")
    outcome.assert_outcomes(passed=1)
    outcome.stdout.no_fnmatch_line("*= qemunet =*")


def test_a_marker_of_the_same_name_in_another_project_is_left_alone(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
import pytest
@pytest.mark.claim("tax/refund", amount=3)
def test_a(): pass
@pytest.mark.claim
def test_b(): pass
@pytest.mark.claim(7)
def test_c(): raise SystemExit(1)
"""
    )
    outcome = pytester.runpytest_inprocess("-p", "no:cacheprovider")
    outcome.assert_outcomes(passed=2, failed=1)
    outcome.stdout.no_fnmatch_line("*= qemunet =*")


def test_loading_the_plugin_costs_little() -> None:
    code = (
        "import time, pytest, _pytest.junitxml; begin = time.perf_counter(); import qemunet_tests.plugin;"
        "print(time.perf_counter() - begin)"
    )
    seconds = min(float(os.popen(f"{sys.executable} -c '{code}'").read()) for _ in range(5))
    assert seconds < soon(0.05)


# Options and selection


def test_a_glob_deselects_other_claims_and_tests_without_one(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(CITING)
    outcome = pytester.runpytest_inprocess(
        *OUTSIDE_THE_LAB,
        "--qemunet-report",
        "out",
        "--qemunet-claims",
        "user/d*",
        "--qemunet-claims=bridge/*",
    )
    outcome.assert_outcomes(passed=2, deselected=2)
    assert claims(pytester) == ["user/dns-offered", "bridge/acl-allow"]


def test_without_globs_everything_runs(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(CITING)
    pytester.runpytest_inprocess(*OUTSIDE_THE_LAB).assert_outcomes(passed=4)


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--qemunet-target", "moon"], "--qemunet-target: 'moon' is not one of 'lab', 'host'"),
        (["--qemunet-accel", "fast"], "--qemunet-accel: 'fast' is not one of 'auto', 'kvm', 'tcg'"),
        (["--qemunet-nic", "ne2000"], "--qemunet-nic: the guest has no driver for 'ne2000'*"),
        (["--qemunet-peer", "192.168.1.7"], "--qemunet-peer: '192.168.1.7' is not ADDR:PORT*"),
        (["--qemunet-peer", "host:70000"], "--qemunet-peer: 'host:70000' is not ADDR:PORT*"),
        (["--qemunet-qemu", "/no/such/qemu"], "--qemunet-qemu: there is no '/no/such/qemu'"),
        (["--qemunet-qemu", "/etc/passwd"], "--qemunet-qemu: '/etc/passwd' is not executable"),
        (
            ["--qemunet-target", "host", "--qemunet-expect", "/no/facts"],
            "--qemunet-expect: there is no file '/no/facts'",
        ),
        (["--qemunet-report", "/proc/out"], "--qemunet-report: cannot write into '/proc/out': *"),
        (["--qemunet-claims", "user"], "no claim matches 'user': did you mean 'user/[*]'[?]"),
        (["--qemunet-claims", "wifi/*"], "no claim matches 'wifi/[*]': *"),
        (["--qemunet-bridge", "br7"], "--qemunet-bridge: the lab's bridge is br0; *"),
        (["--qemunet-target", "host", "--qemunet-bridge", "br7"], "--qemunet-bridge: this host has no bridge 'br7'; *"),
    ],
)
def test_a_bad_value_is_one_line(pytester: pytest.Pytester, arguments: list[str], complaint: str) -> None:
    pytester.makepyfile(CITING)
    outcome = pytester.runpytest_inprocess("-p", "no:cacheprovider", *arguments)
    assert outcome.ret == pytest.ExitCode.USAGE_ERROR
    assert len([line for line in outcome.errlines if line]) == 1
    outcome.stderr.fnmatch_lines([f"ERROR: {complaint}"])


def test_a_test_of_ours_may_not_cite_what_does_not_exist(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(CITING.replace("user/address", "user/adress"))
    for workers in ("0", "1"):
        outcome = pytester.runpytest_subprocess(*OUTSIDE_THE_LAB, "-n", workers)
        outcome.assert_outcomes(passed=3, errors=1)
        outcome.stdout.fnmatch_lines(["a test has to cite one claim that exists*'user/adress'"])
        outcome.stdout.no_fnmatch_line("*claim_marker.py*")


def test_the_fixture_without_the_marker_says_what_is_missing(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_it(claim): pass")
    outcome = pytester.runpytest_inprocess(*OUTSIDE_THE_LAB)
    outcome.assert_outcomes(errors=1)
    outcome.stdout.fnmatch_lines(["*the fixture `claim` needs a marker*"])


def test_unavailable_becomes_a_skip_for_tests_without_a_claim_too(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
from qemunet_tests.errors import Unavailable
def test_it(): raise Unavailable("no bridge", "make one")
"""
    )
    outcome = pytester.runpytest_inprocess("-rs", "-p", "no:cacheprovider")
    outcome.assert_outcomes(skipped=1)
    outcome.stdout.fnmatch_lines(["SKIPPED*no bridge (make one)"])


# Facts and the report


FACTS = """
import pytest
from qemunet_tests import plugin

@pytest.fixture(scope="session")
def bench(pytestconfig):
    facts = plugin.facts(pytestconfig)
    facts.qemu = {"path": "/q", "version": "7.2.22", "slirp": "4.7.0"}
    facts.phases["templates"] = 2.5
    facts.note("thawing does not work here")
    yield
    for kind, count in {"booted": 1, "thawed": 10, "peers": 100}.items():
        for _ in range(count):
            facts.count(kind)

@pytest.mark.claim("user/address")
@pytest.mark.parametrize("number", range(6))
def test_address(bench, number): pass
"""


@pytest.mark.parametrize(("workers", "benches"), [("0", 1), ("2", 2)])
def test_facts_of_all_processes_are_in_the_report(pytester: pytest.Pytester, workers: str, benches: int) -> None:
    pytester.makepyfile(FACTS)
    outcome = pytester.runpytest_subprocess(*OUTSIDE_THE_LAB, "--qemunet-report", "out", "-n", workers)
    outcome.assert_outcomes(passed=6)
    document = results(pytester)
    assert document["qemu"].items() >= {"path": "/q", "version": "7.2.22", "slirp": "4.7.0"}.items()
    assert document["guests"] == {"booted": benches, "thawed": 10 * benches, "peers": 100 * benches}
    assert document["phases"]["templates"] == 2.5
    assert document["phases"]["tests"] > 0
    assert document["notes"] == ["thawing does not work here"]
    assert document["host"]["kernel"] == os.uname().release
    outcome.stdout.fnmatch_lines(["QEMU*7.2.22, libslirp 4.7.0 (/q)", "user: the one promise tried holds"])


@pytest.mark.parametrize("workers", ["0", "1"])
def test_what_is_learned_after_the_last_test_is_in_the_report_too(pytester: pytest.Pytester, workers: str) -> None:
    pytester.makepyfile(CITING)
    pytester.makeconftest(
        """
from qemunet_tests import plugin
def pytest_sessionfinish(session):
    if session.items: plugin.facts(session.config).note("late")
"""
    )
    pytester.runpytest_subprocess(*OUTSIDE_THE_LAB, "--qemunet-report", "out", "-n", workers)
    assert results(pytester)["notes"] == ["late"]


def test_plain_pytest_prints_the_card_and_keeps_its_exit_codes(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(CITING + "\n@pytest.mark.claim('user/e1000')\ndef test_bad(): assert 0, 'no lease'\n")
    outcome = pytester.runpytest_inprocess("-p", "no:cacheprovider")
    assert outcome.ret == pytest.ExitCode.TESTS_FAILED
    outcome.stdout.fnmatch_lines(
        [
            "*= qemunet =*",
            "*holds         address      10.0.2.15/24",
            "*broken        e1000",
            "*reason    no lease",
            "user: 2 of 3 promises hold; 1 is broken: e1000",
            "bridge: the one promise tried holds",
            "4 claims: 3 holds, 1 broken",
        ]
    )


def test_a_report_is_written_even_where_nothing_could_be_collected(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("import no_such_module_anywhere")
    pytester.runpytest_inprocess(*OUTSIDE_THE_LAB, "--qemunet-report", "out")
    (note,) = results(pytester)["notes"]
    assert "no_such_module_anywhere" in note
    assert "\n" not in note


def test_the_users_own_junit_file_is_respected(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(CITING)
    pytester.runpytest_inprocess(*OUTSIDE_THE_LAB, "--qemunet-report", "out", "--junitxml", "mine.xml")
    assert (pytester.path / "mine.xml").is_file()
    assert not (pytester.path / "out" / "junit.xml").exists()


def test_lengthy_tests_begin_at_once_beside_each_other(pytester: pytest.Pytester) -> None:
    """Each waits for the other, which it could not if they were one worker's, or came last."""
    seen = pytester.mkdir("seen")
    pytester.makepyfile(f"""
        import pathlib, pytest
        from qemunet_tests.deadline import Deadline

        SEEN = pathlib.Path({str(seen)!r})

        @pytest.mark.parametrize("number", range(8))
        @pytest.mark.claim("user/address")
        def test_brief(number): pass

        @pytest.mark.lengthy
        @pytest.mark.parametrize("mine, other", [("a", "b"), ("b", "a")])
        @pytest.mark.claim("user/gateway")
        def test_lengthy(mine, other):
            (SEEN / mine).touch()
            Deadline(5, "the other").wait_until((SEEN / other).exists)
    """)
    spread = ("-n", "2", "--dist", "load", "--maxschedchunk", "1")
    pytester.runpytest_subprocess(*OUTSIDE_THE_LAB, *spread).assert_outcomes(passed=10)
