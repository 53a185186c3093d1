"""`qemunet run --failed DIR`: what did not hold there is tried again."""

import json
from pathlib import Path

import pytest

from meta_tests.qemunet_command import BROKEN, conduct
from meta_tests.samples.results import results_of
from qemunet_tests.__main__ import exit_code
from qemunet_tests.report.session_results import write_results
from qemunet_tests.report.verdict_of_test import Verdict, VerdictOfTest

#: One claim of each verdict.
ALL = {
    "user/address": "holds", "user/gateway": "broken", "user/e1000": "deviates", "user/dns-offered": "inconclusive",
    "bridge/acl-allow": "unavailable",
}  # fmt: skip
TESTS = "import pytest\n" + "".join(
    f"@pytest.mark.claim('{claim}')\ndef test_{number}(): pass\n"
    for number, claim in enumerate([*ALL, "user/smb-absent"])
)


def tried(folder: Path) -> list[str]:
    return [each["claim"] for each in json.loads((folder / "results.json").read_text())["verdicts"]]


@pytest.fixture
def earlier(tmp_path: Path) -> Path:
    """With a run that found one of each."""
    (tmp_path / "out").mkdir()
    write_results(
        results_of(*(VerdictOfTest(claim, Verdict(each), "t") for claim, each in ALL.items())), tmp_path / "out"
    )
    return tmp_path


@pytest.mark.parametrize(("workers", "named"), [("0", "out/results.json"), ("2", "out")])
def test_what_did_not_hold_is_repeated(earlier: Path, workers: str, named: str) -> None:
    """Into the same folder: the report that moves away meanwhile has been read."""
    done = conduct(earlier, TESTS, "--failed", named, "--report", "out", "-n", workers)
    assert (done.returncode, "Traceback" in done.stderr) == (0, False)
    assert sorted(tried(earlier / "out")) == sorted(claim for claim, each in ALL.items() if each != "holds")
    assert sorted(tried(earlier / "out" / "before")) == sorted(ALL)
    assert "4 claims: 4 holds" in done.stdout


def test_of_the_claims_that_are_named(earlier: Path) -> None:
    assert conduct(earlier, TESTS, "user/*", "--failed", "out", "--report", "new", "-n", "0").returncode == 0
    assert tried(earlier / "new") == ["user/gateway", "user/dns-offered", "user/e1000"]


def test_nothing_to_repeat_is_said_and_nothing_moves(earlier: Path) -> None:
    before = (earlier / "out" / "results.json").read_text()
    done = conduct(earlier, TESTS, "user/a*", "--failed", "out", "--report", "out")
    assert (done.returncode, "Traceback" in done.stderr) == (0, False)
    assert done.stdout == "nothing to repeat: every claim that user/a* matches holds in out\n"
    assert (earlier / "out" / "results.json").read_text() == before


def test_what_is_not_known_of_the_earlier_run_is_said(earlier: Path) -> None:
    file = earlier / "out" / "results.json"
    document = json.loads(file.read_text())
    document["verdicts"].append({**document["verdicts"][1], "claim": "user/of-old"})
    file.write_text(json.dumps({**document, "interrupted": True}))
    said = conduct(earlier, TESTS, "--failed", "out", "-n", "0").stdout.splitlines()
    assert said[:2] == [
        "not repeated, because this qemunet has no such claim: user/of-old",
        "the run in out was interrupted: what it did not come to is not repeated",
    ]


def test_no_run_to_repeat_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    write_results(results_of(), tmp_path / "empty")
    (tmp_path / "a.jsonl").write_text('{"kind": "session"}\n{"kind": "end"}\n')
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged" / "results.json").write_text("{")
    for name, said in (
        ("empty", "--failed: the run in empty tried nothing, so nothing is known of what to repeat"),
        ("a.jsonl", "--failed: a.jsonl has no results of a run: name the folder of a report"),
        ("nowhere", "--failed: there is no run to repeat: nowhere: No such file or directory"),
        (".", "--failed: there is no run to repeat: . has no results of a run: there is no results.json in it"),
        ("damaged", "--failed: there is no run to repeat: damaged/results.json has no results of a run: "),
    ):
        assert exit_code(["run", "--failed", name]) == 2
        complained = capsys.readouterr()
        assert (complained.out, len(complained.err.splitlines())) == ("", 1)
        assert complained.err.startswith(f"qemunet: {said}")


def test_it_ends_when_all_holds(tmp_path: Path) -> None:
    """As it is used: a run that is broken, the repair, what was broken again."""
    assert conduct(tmp_path, BROKEN, "--report", "out", "-n", "0").returncode == 1
    mended = BROKEN.replace("assert 0", "assert 1")
    assert "1 claim: 1 holds" in conduct(tmp_path, mended, "--failed", "out", "--report", "out", "-n", "0").stdout
    assert conduct(tmp_path, mended, "--failed", "out").stdout == "nothing to repeat: every claim holds in out\n"
