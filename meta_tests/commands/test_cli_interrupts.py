"""`qemunet run` and Ctrl-C: once, and twice."""

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from meta_tests.patience import limit
from meta_tests.qemunet_command import CONDUCT, clean_environment
from meta_tests.user_accounts import CHECKOUT
from qemunet_tests.deadline import Deadline
from qemunet_tests.plugin.interrupt import interrupt_only_once

SLOW = """
import os, threading
from pathlib import Path
import pytest

HERE = Path(__file__).parent

@pytest.fixture
def guest():
    yield
    (HERE / "ending").touch()
    if (HERE / "stubborn").exists():
        threading.Event().wait(600)
    # Long enough for a second signal to come while this cleans up.
    threading.Event().wait(1)
    (HERE / "ended").touch()

@pytest.mark.claim("user/address")
def test_first(): {first}

@pytest.mark.claim("user/gateway")
def test_slow(guest):
    (HERE / "started").touch()
    threading.Event().wait(600)

@pytest.mark.claim("user/e1000")
def test_last():
    # A second worker has it beside the slow one.
    threading.Event().wait(600)
"""


@contextlib.contextmanager
def running(folder: Path, first: str, *words: str) -> Iterator[subprocess.Popen[str]]:
    """A run that has arrived in its slow test, as the leader of a process group of its own."""
    (folder / "test_it.py").write_text(SLOW.format(first=first))
    with (folder / "stdout").open("w") as out, (folder / "stderr").open("w") as err:
        process = subprocess.Popen(
            [sys.executable, "-c", CONDUCT, str(folder), "--report", "out", *words],
            stdout=out, stderr=err, text=True, cwd=folder, env=clean_environment(), start_new_session=True,
        )  # fmt: skip
    try:
        Deadline(30, "the slow test to start").wait_until(
            lambda: (folder / "started").exists() or process.poll() is not None
        )
        Deadline(10, "the first test to be reported").wait_until(
            lambda: "user/address" in (folder / "stderr").read_text()
        )
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def living(group: int) -> list[str]:
    """Processes of a group that have not ended."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            state, _, pgrp = stat.read_text().rpartition(")")[2].split()[:3]
            if int(pgrp) == group and state not in "ZX":
                found.append(f"{stat.parent.name} {state}")
    return found


@pytest.mark.parametrize("workers", ["0", "2"])
@pytest.mark.parametrize("sent_to", ["the terminal's group", "the process"])
def test_the_first_interrupt_ends_in_order(tmp_path: Path, workers: str, sent_to: str) -> None:
    with running(tmp_path, "pass", "-n", workers) as process:
        if sent_to == "the process":
            process.send_signal(signal.SIGINT)
        else:
            os.killpg(process.pid, signal.SIGINT)
        # xdist alone would get round to it after 5 s.
        Deadline(4, "the test to be interrupted").wait_until((tmp_path / "ending").exists)
        assert process.wait(timeout=limit(20)) == 3
        assert living(process.pid) == []
    shown, told = (tmp_path / "stdout").read_text(), (tmp_path / "stderr").read_text()
    assert "interrupted: ending the guests (Ctrl-C again ends at once)" in told
    assert "1 claim: 1 holds" in shown
    assert "interrupted: claims that were not tried yet are not listed" in shown
    assert "Traceback" not in shown + told
    assert (tmp_path / "ended").exists()
    document = json.loads((tmp_path / "out" / "results.json").read_text())
    assert document["interrupted"] is True
    assert [each["claim"] for each in document["verdicts"]] == ["user/address"]
    assert (tmp_path / "out" / "junit.xml").is_file()


def test_a_worker_is_interrupted_only_once() -> None:
    before = signal.getsignal(signal.SIGINT)
    try:
        interrupt_only_once()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
    finally:
        signal.signal(signal.SIGINT, before)


def test_an_interrupted_run_that_has_seen_something_broken_says_so(tmp_path: Path) -> None:
    with running(tmp_path, "assert 0, 'no lease'", "-n", "0") as process:
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=limit(20)) == 1


@pytest.mark.parametrize("workers", ["0", "2"])
def test_the_second_interrupt_ends_at_once(tmp_path: Path, workers: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "stubborn").touch()
    (tmp_path / "tmp").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    with running(tmp_path, "pass", "-n", workers) as process:
        os.killpg(process.pid, signal.SIGINT)
        Deadline(10, "the fixture to clean up").wait_until((tmp_path / "ending").exists)
        os.killpg(process.pid, signal.SIGINT)
        assert process.wait(timeout=limit(3)) == 3
        Deadline(3, "the workers to be gone").wait_until(lambda: living(process.pid) == [])
    told = (tmp_path / "stderr").read_text()
    assert "interrupted twice" in told
    assert "Traceback" not in (tmp_path / "stdout").read_text() + told
    assert not (tmp_path / "ended").exists()
    assert not [left for left in (tmp_path / "tmp").iterdir() if not left.name.startswith("pytest-of-")]


@pytest.mark.parametrize(
    ("before", "status"), [("", -signal.SIGINT), ("signal.signal(signal.SIGINT, signal.SIG_IGN); ", 0)],
    ids=["as programs are started", "in the background of a shell"],
)  # fmt: skip
def test_an_interrupt_before_the_command_is_there_is_no_verdict(before: str, status: int) -> None:
    program = f"import os, signal; {before}import qemunet_tests.entry_point; os.kill(os.getpid(), signal.SIGINT)"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=limit(60),
        cwd=CHECKOUT, env=clean_environment(),
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (status, "")


def test_the_command_that_is_there_takes_interrupts_itself() -> None:
    program = (
        "import os, signal, sys, qemunet_tests.entry_point as entry, qemunet_tests.__main__ as command\n"
        "command.execute = lambda _: os.kill(os.getpid(), signal.SIGINT)\n"
        "entry.main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=limit(60),
        cwd=CHECKOUT, env=clean_environment(),
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (130, "")
