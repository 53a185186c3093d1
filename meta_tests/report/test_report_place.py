"""The report's folder: what an earlier run found is never taken for what this one did."""

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from meta_tests.commands.test_cli_interrupts import running
from meta_tests.qemunet_command import GOOD, conduct
from qemunet_tests.errors import UsageError
from qemunet_tests.report.place import BEFORE, OF_A_RUN, begin
from qemunet_tests.report.session_results import SessionResults
from qemunet_tests.report.verdict_of_test import Verdict, VerdictOfTest

GREEN = {"interrupted": False, "verdicts": [{"claim": "user/address", "verdict": "holds"}]}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """With the report of a run that found everything in order, and something of the user's."""
    for name in OF_A_RUN[1:-1]:
        (tmp_path / name).write_text("green")
    (tmp_path / "results.json").write_text(json.dumps(GREEN))
    (tmp_path / "artifacts" / "test").mkdir(parents=True)
    (tmp_path / "mine").write_text("mine")
    return tmp_path


def results(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "results.json").read_text())
    return found


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_another_runs_report_moves_to_before(folder: Path) -> None:
    begin(folder, "lab", "--report")
    assert names(folder) == {"results.json", "before", "mine"}
    assert names(folder / BEFORE) == set(OF_A_RUN)
    assert results(folder / BEFORE) == GREEN
    assert (results(folder)["interrupted"], results(folder)["verdicts"]) == (True, [])
    assert results(folder)["notes"] == ["interrupted before it was known: qemu, accel"]


def test_only_the_last_run_is_in_before(folder: Path) -> None:
    begin(folder, "lab", "--report")
    (folder / "results.json").write_text(json.dumps({**GREEN, "seconds": 2}))
    begin(folder, "lab", "--report")
    assert results(folder / BEFORE)["seconds"] == 2
    assert names(folder / BEFORE) == {"results.json"}


def test_a_run_that_found_nothing_displaces_nothing(folder: Path) -> None:
    for _ in range(3):
        begin(folder, "lab", "--report")
    assert results(folder / BEFORE) == GREEN


def test_an_empty_folder_gets_no_before(tmp_path: Path) -> None:
    begin(tmp_path, "lab", "--report")
    assert names(tmp_path) == {"results.json"}


def test_nothing_moves_through_a_link(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (elsewhere / "results.json").write_text("somebody's")
    (folder / BEFORE).symlink_to(elsewhere)
    with pytest.raises(UsageError, match=r"--report: cannot write into .*: 'before' in it is no folder"):
        begin(folder, "lab", "--report")
    assert (elsewhere / "results.json").read_text() == "somebody's"
    (folder / BEFORE).unlink()
    (folder / BEFORE).mkdir()
    (folder / BEFORE / "artifacts").symlink_to(elsewhere)
    begin(folder, "lab", "--report")
    assert (elsewhere / "results.json").read_text() == "somebody's"


def test_what_is_known_of_an_interrupted_run_is_not_named(tmp_path: Path) -> None:
    session = SessionResults()
    session.findings.append(VerdictOfTest("user/address", Verdict.HOLDS, "test"))
    session.interrupted = True
    said = session.results("lab")
    assert said.notes == ["interrupted before it was known: qemu, accel"]
    session.interrupted = False
    assert session.results("lab").notes == []


@pytest.mark.parametrize("workers", ["0", "2"])
def test_a_run_that_is_killed_leaves_no_green_results(tmp_path: Path, workers: str) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "results.json").write_text(json.dumps({**GREEN, "seconds": 1}))
    (tmp_path / "out" / "junit.xml").write_text("green")
    with running(tmp_path, "pass", "-n", workers) as process:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    left = results(tmp_path / "out")
    assert left["interrupted"] is True
    assert [each["claim"] for each in left["verdicts"]] == ["user/address"]
    assert names(tmp_path / "out") == {"results.json", "before"}
    assert results(tmp_path / "out" / BEFORE)["seconds"] == 1


def test_a_run_that_is_done_says_so(tmp_path: Path) -> None:
    for _ in range(2):
        assert conduct(tmp_path, GOOD, "-n", "0", "--report", "out").returncode == 0
    assert results(tmp_path / "out")["interrupted"] is False
    assert results(tmp_path / "out" / BEFORE)["interrupted"] is False
    assert names(tmp_path / "out" / BEFORE) == {"results.json", "junit.xml", "summary.md"}


def test_a_before_that_is_no_folder_is_wrong_usage(tmp_path: Path) -> None:
    conduct(tmp_path, GOOD, "-n", "0", "--report", "out")
    (tmp_path / "out" / BEFORE).write_text("")
    done = conduct(tmp_path, GOOD, "-n", "0", "--report", "out")
    assert done.returncode == 2
    assert done.stderr == f"qemunet: --report: cannot write into '{tmp_path}/out': 'before' in it is no folder\n"


def test_nothing_is_moved_through_a_link_of_the_folders_owner(tmp_path: Path) -> None:
    """Root reports into a folder of somebody's who would have it write elsewhere."""
    theirs, victim = tmp_path / "theirs", tmp_path / "victim"
    theirs.mkdir()
    victim.mkdir()
    (victim / "results.json").write_text("precious")
    (theirs / "results.json").write_text("{}")
    (theirs / "before").symlink_to(victim)
    with pytest.raises(UsageError, match="is no folder"):
        begin(theirs, "lab", "--report")
    (theirs / "before").unlink()
    (theirs / "results.json").unlink()
    os.mkfifo(theirs / "results.json")
    (theirs / "artifacts").symlink_to(victim)
    begin(theirs, "lab", "--report")
    assert (victim / "results.json").read_text() == "precious"
    assert [path.name for path in victim.iterdir()] == ["results.json"]
    assert (theirs / "before" / "artifacts").is_symlink()
