"""A claim that breaks without a cause is tried again at once: broken is what breaks twice."""

import json
from typing import Any

import pytest

from meta_tests.inner_session import imported_once, nobodys_worker  # noqa: F401
from qemunet_tests import diagnosis
from qemunet_tests.host.obstacle import Obstacle

pytest_plugins = "pytester"

#: Each test has its own scene, made anew; what the module shares is made once, however often a test is tried.
SCENE = """
import pathlib, pytest
from qemunet_tests.errors import HarnessError, Unavailable

@pytest.fixture(scope="module")
def shared():
    write("shared")

@pytest.fixture
def scene():
    write("made")
    yield
    write("gone")

def write(word):
    with open("told", "a") as file:
        file.write(word + " ")
    return pathlib.Path("told").read_text().split().count(word)
"""
LOST = "the guest heard nothing"


def verdicts(pytester: pytest.Pytester, body: str, *arguments: str) -> dict[str, Any]:
    pytester.makepyfile(test_it=SCENE + body)
    run = pytester.runpytest_subprocess if "-n" in arguments else pytester.runpytest_inprocess
    run("--qemunet-target", "host", "--qemunet-report", "out", "-p", "no:cacheprovider", *arguments)
    document = json.loads((pytester.path / "out" / "results.json").read_text())
    return {each["claim"]: each for each in document["verdicts"]}


def told(pytester: pytest.Pytester) -> list[str]:
    return (pytester.path / "told").read_text().split()


def body(second: str, first: str = f"assert False, '{LOST}'") -> str:
    return f"""
@pytest.mark.claim("user/address")
def test_it(claim, scene, shared):
    claim.sees(f"try {{write('tried')}}")
    if write("begun") == 1:
        {first}
    {second}

@pytest.mark.claim("user/dns-offered")
def test_next(shared):
    write("next")
"""


@pytest.mark.parametrize("workers", [[], ["-n", "1"]], ids=["one-process", "worker"])
def test_what_breaks_once_is_inconclusive(pytester: pytest.Pytester, workers: list[str]) -> None:
    found = verdicts(pytester, body("pass"), *workers)
    seen = found["user/address"]
    assert (seen["verdict"], seen["observed"]) == ("inconclusive", "try 2")
    assert seen["reason"] == f"broken when it was tried first ({LOST}), and not when it was tried again at once"
    assert found["user/dns-offered"]["verdict"] == "holds"
    assert told(pytester) == ["shared", "made", "tried", "begun", "gone", "made", "tried", "begun", "gone", "next"]


def test_what_breaks_twice_is_broken(pytester: pytest.Pytester) -> None:
    seen = verdicts(pytester, body("assert False, 'and again'"))["user/address"]
    assert (seen["verdict"], seen["reason"]) == ("broken", "and again")


@pytest.mark.parametrize(
    ("second", "reason"),
    [
        ("raise Unavailable('no helper', 'install it')", "and then unavailable: no helper"),
        ("raise HarnessError('no console')", "no console"),
        ("claim.deviates('as known')", "and not when it was tried again at once"),
    ],
)
def test_no_other_end_of_the_second_try_makes_it_whole(pytester: pytest.Pytester, second: str, reason: str) -> None:
    seen = verdicts(pytester, body(second))["user/address"]
    assert seen["verdict"] == "inconclusive"
    assert seen["reason"].endswith(reason)


@pytest.mark.parametrize("ending", ["pass", "raise HarnessError('no console')", "pytest.skip('not here')"])
def test_what_does_not_break_is_tried_once(pytester: pytest.Pytester, ending: str) -> None:
    verdicts(pytester, body(ending, first=ending))
    assert told(pytester).count("made") == 1


@pytest.mark.parametrize(("remedy", "tries"), [("ip link set tap0 up", 1), (None, 2)])
def test_a_cause_that_can_be_mended_is_evidence(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, remedy: str | None, tries: int
) -> None:
    monkeypatch.setattr(diagnosis, "cause_of", lambda *_: Obstacle("tap0 is down", remedy).found_by("test"))
    seen = verdicts(pytester, body("assert False"))["user/address"]
    assert (seen["verdict"], seen["reason"]) == ("broken", "tap0 is down")
    assert told(pytester).count("made") == tries


def test_where_much_broke_twice_the_rest_is_believed_at_once(pytester: pytest.Pytester) -> None:
    rows = ", ".join(f"pytest.param({row}, marks=pytest.mark.claim('user/address'))" for row in range(5))
    test = f"\n@pytest.mark.parametrize('row', [{rows}])\ndef test_it(scene, row): assert False"
    assert verdicts(pytester, test)["user/address"]["verdict"] == "broken"
    assert told(pytester).count("made") == 3 * 2 + 2


def test_a_teardown_that_fails_too_leaves_nothing_for_the_next_module(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(test_next_module=SCENE + "\n@pytest.mark.claim('user/gateway')\ndef test_it(shared): pass")
    failing = "\n@pytest.fixture\ndef left():\n    yield\n    assert False, 'a leak'\n"
    found = verdicts(pytester, failing + body("assert False").replace("scene, shared", "scene, shared, left"))
    assert found["user/address"]["verdict"] == "broken"
    assert found["user/gateway"]["verdict"] == "holds"
    assert told(pytester).count("begun") == 2


def test_whoever_looks_at_a_failure_sees_it_once(pytester: pytest.Pytester) -> None:
    # pdb reads the end of its input, and the session ends.
    pytester.makepyfile(test_it=SCENE + body("pass"))
    pytester.runpytest_subprocess("--qemunet-target", "host", "--pdb", "-p", "no:cacheprovider")
    assert told(pytester).count("made") == 1
