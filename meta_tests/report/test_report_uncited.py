"""A session of a reader's own tests: counted, and failures named with what their guests left behind."""

import json

import pytest

pytest_plugins = "pytester"

TESTS = """
import pytest

@pytest.fixture
def guest(request):
    request.node.user_properties.append(("qemunet.artifact", "/kept/guest-1"))

def test_fine(): pass
def test_wrong(guest): assert 0, "mine is wrong"
def test_skipped(): pytest.skip("not today")
@pytest.fixture
def lacking(): raise OSError("no disk")
def test_lacking(lacking): pass
"""
CITING = "\n@pytest.mark.claim('user/address')\ndef test_cited(): pass\n"


@pytest.mark.parametrize("spread", [[], ["-n", "2"]])
@pytest.mark.parametrize("more", ["", CITING])
def test_tests_without_a_claim_are_counted_and_named(pytester: pytest.Pytester, spread: list[str], more: str) -> None:
    pytester.makepyfile(test_mine=TESTS + more)
    done = pytester.runpytest_subprocess("--qemunet-target", "host", "--qemunet-report", "out", *spread)
    shown = done.stdout.str()
    assert "tests without a claim: 1 passed, 2 failed, 1 skipped" in shown
    assert "test_mine.py::test_wrong failed: AssertionError: mine is wrong" in shown
    assert "its guest: /kept/guest-1" in shown
    results = json.loads((pytester.path / "out" / "results.json").read_text())
    assert len(results["verdicts"]) == bool(more)
    counts = results["uncited"]
    assert (counts["passed"], counts["failed"], counts["skipped"]) == (1, 2, 1)
    failures = {each["test"]: each for each in counts["failures"]}
    assert failures["test_mine.py::test_wrong"]["artifacts"] == ["/kept/guest-1"]
    assert failures["test_mine.py::test_lacking"]["reason"] == "OSError: no disk"
    summary = (pytester.path / "out" / "summary.md").read_text()
    assert "1 passed, 2 failed, 1 skipped" in summary
    assert "/kept/guest-1" in summary
    assert ("2 of 3 tests without a claim failed" in summary) == (not more)


def test_a_session_about_something_else_says_nothing(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_it(): assert 0")
    assert "without a claim" not in pytester.runpytest_subprocess().stdout.str()
