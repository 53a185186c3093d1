"""The script that runs whole runs on a busy machine: what it keeps, and that nothing of it outlives it."""

import os
import runpy
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from meta_tests.isolation.leftovers import FOLDER_PREFIX, Run
from meta_tests.patience import limit
from meta_tests.user_accounts import CHECKOUT, accounts
from qemunet_tests.deadline import Deadline

SCRIPT = CHECKOUT / "benchmarks" / "busy_runs.py"


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix=FOLDER_PREFIX) as name:
        yield Path(name)


def script(folder: Path, *words: str, more: int = 2) -> Run:
    """One run of one claim, with as much load as there is now and `more` programs."""
    load = int(Path("/proc/loadavg").read_text().split()[3].partition("/")[0]) + more
    command = [sys.executable, str(SCRIPT), "--load", str(load), "--out", str(folder / "out"), *words]
    account = accounts()[0].values[0]
    return Run(command, account, folder, QEMUNET_CACHE=os.environ.get("QEMUNET_CACHE", "/var/cache/qemunet"))


@pytest.mark.slow
def test_every_run_is_kept_and_told(folder: Path) -> None:
    run = script(folder, "--runs", "2", "--at-once", "2", "--table", str(folder / "page.md"), "--", "user/address")
    try:
        assert run.process.wait(limit(120)) == 0, run.output
        assert sorted(str(path.parent.name) for path in folder.glob("out/run-*/results.json")) == ["run-01", "run-02"]
        page = (folder / "page.md").read_text()
        assert page.count("| 0 | 1 holds |  |") == 2, page
        assert "2 whole runs, 2 at once" in page
        assert run.leaves_nothing(), run.leftovers()
    finally:
        run.end()


def test_a_broken_claim_is_told(folder: Path) -> None:
    run = script(folder, "--runs", "1", "--", "user/no-such-claim")
    try:
        assert run.process.wait(limit(120)) == 1, run.output
        assert "no results" in (folder / "out" / "table.md").read_text()
    finally:
        run.end()


@pytest.mark.slow
def test_nothing_outlives_a_script_that_is_killed(folder: Path) -> None:
    # What other tests do beside this one may be more than it was at the start: it must not make the programs needless.
    run = script(folder, "--runs", "1", "--", "user/*", more=8)
    try:
        computing = Deadline(limit(120), "programs that compute, and guests")
        computing.wait_until(lambda: _computes(run), interval_seconds=0.2)
        run.note()
        os.kill(run.process.pid, signal.SIGKILL)
        run.process.wait()
        assert run.leaves_nothing(within_seconds=10), run.leftovers()
    finally:
        run.end()


def test_a_program_that_begins_after_its_script_was_killed_ends_at_once() -> None:
    burn = runpy.run_path(str(SCRIPT))["BURN"]
    gone = subprocess.Popen(["true"])
    gone.wait()
    assert subprocess.run([sys.executable, "-c", burn, str(gone.pid)], timeout=limit(10), check=False).returncode == 0


def _computes(run: Run) -> bool:
    assert run.process.poll() is None, run.output
    return {"burns", "guest"} <= {_kind(process.words) for process in run.processes()}


def _kind(words: tuple[str, ...]) -> str:
    if any("sum(range(" in word for word in words):
        return "burns"
    return "guest" if any(word.startswith(("guest-", "template-")) for word in words) else ""
