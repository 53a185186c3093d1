"""The report's folder: what an earlier run found is never taken for what this one did."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from meta_tests.commands.test_cli_interrupts import running
from meta_tests.qemunet_command import GOOD, clean_environment, conduct
from qemunet_tests.errors import UsageError
from qemunet_tests.report.report_folder import BEFORE, OF_A_RUN, begin
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


STEPS = ("rename", "unlink", "rmdir", "mkdir")


@pytest.mark.parametrize("more", [(), ("summary.md",)], ids=["the-same-files", "fewer-files"])
def test_wherever_the_move_is_ended_the_next_run_completes_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch, more: tuple[str, ...]
) -> None:
    """Ended before each of its steps, in which names change; what a run was is never mixed with another's."""
    begin(folder, "lab", "--report")
    ended = 0
    while True:
        fill(folder, f"new {ended}", leaving_out=more)
        fill(folder / BEFORE, f"old {ended}")
        if not ended_at(monkeypatch, ended, folder):
            break
        assert not (folder / "results.json").exists() or content(folder) == {f"new {ended}"}
        begin(folder, "lab", "--report")
        assert content(folder / BEFORE) == {f"new {ended}"}
        assert names(folder / BEFORE) == set(OF_A_RUN) - set(more)
        assert names(folder) == {"results.json", "before", "mine"}
        ended += 1
    assert ended > 8


def fill(folder: Path, text: str, leaving_out: tuple[str, ...] = ()) -> None:
    """With the files of one run."""
    for name in set(OF_A_RUN) - {"artifacts", "results.json", *leaving_out}:
        (folder / name).write_text(text)
    (folder / "results.json").write_text(json.dumps({**GREEN, "said": text}))
    (folder / "artifacts" / "test").mkdir(parents=True, exist_ok=True)
    (folder / "artifacts" / "test" / "console.log").write_text(text)


def content(folder: Path) -> set[str]:
    """What the files of the run in it say."""
    files = [path for name in OF_A_RUN for path in [folder / name, *(folder / name).rglob("*")] if path.is_file()]
    return {json.loads(each.read_text())["said"] if each.suffix == ".json" else each.read_text() for each in files}


def ended_at(monkeypatch: pytest.MonkeyPatch, step: int, folder: Path) -> bool:
    """Begin, and be killed at that step; False where there are not so many."""
    left = iter(range(step))

    class Killed(BaseException):
        pass

    def counted(real: Any) -> Any:
        def do(*words: Any, **named: Any) -> Any:
            if next(left, None) is None:
                raise Killed
            return real(*words, **named)

        return do

    with monkeypatch.context() as patched:
        for name in STEPS:
            patched.setattr(os, name, counted(getattr(os, name)))
        try:
            begin(folder, "lab", "--report")
        except Killed:
            return True
    return False


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
    assert names(tmp_path / "out" / BEFORE) == {"results.json", "junit.xml", "summary.md", "report.html"}


def test_the_card_ends_with_the_line_that_compares(tmp_path: Path) -> None:
    first, second = (conduct(tmp_path, GOOD, "-n", "0", "--report", "my out") for _ in range(2))
    assert "compare" not in first.stdout
    assert second.stdout.splitlines()[-1] == "qemunet compare 'my out/before' 'my out'"
    done = subprocess.run(
        second.stdout.splitlines()[-1].replace("qemunet", f"{sys.executable} -m qemunet_tests", 1),
        shell=True, cwd=tmp_path, capture_output=True, text=True, check=False, env=clean_environment(),
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    elsewhere = conduct(tmp_path, GOOD, "-n", "0", "--report", "-odd")
    assert elsewhere.returncode == 2, "an option is missing its value"
    conduct(tmp_path, GOOD, "-n", "0", "--report=-odd")
    assert conduct(tmp_path, GOOD, "-n", "0", "--report=-odd").stdout.splitlines()[-1] == (
        "qemunet compare ./-odd/before ./-odd"
    )


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
