"""What stops a recording is named, what was measured before is kept, and nothing else is left."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from meta_tests.isolation.leftovers import Run
from meta_tests.isolation.runs import START_SECONDS, Start, by_root_first
from meta_tests.patience import limit
from meta_tests.throughput.test_record_shapes import complaints
from qemunet_tests.deadline import Deadline

pytest_plugins = "meta_tests.isolation.runs"

SHORT = ("record", "--arms", "user", "--nics", "virtio-net", "--accel", "tcg", "--extras", "none")
#: A block of a busy machine.
BLOCK_SECONDS = 120.0


def says(run: Run, text: str) -> None:
    """Wait for a step of the recording, and remember all that it has started."""

    def said() -> bool:
        assert run.process.poll() is None, run.output
        return text in run.output

    Deadline(START_SECONDS + BLOCK_SECONDS, f"the recording to say {text!r}").wait_until(said, interval_seconds=0.05)
    run.note()


def rows_of(path: Path) -> list[dict]:
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    assert complaints("recording", rows) == []
    return rows


@pytest.fixture
def out(open_folder: Path) -> Path:
    """A file that any user may write."""
    open_folder.chmod(0o777)
    return open_folder / "out.jsonl"


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """A folder of everything in this machine's PATH but iperf3."""
    folder = tmp_path / "bin"
    folder.mkdir()
    found = {program.name: program for place in ("/bin", "/usr/bin") for program in Path(place).iterdir()}
    for name in found.keys() - {"iperf3"}:
        (folder / name).symlink_to(found[name])
    return folder


def recorded(out: Path, path: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "qemunet_tests", *SHORT, "--out", str(out)]
    environment = {**os.environ, "PATH": path}
    return subprocess.run(command, env=environment, check=False, capture_output=True, text=True, timeout=limit(100))


def test_iperf3_is_missing(out, programs):
    done = recorded(out, str(programs))
    assert done.returncode == 3
    assert done.stderr.splitlines()[0] == "qemunet: iperf3, which measures throughput, is not installed"
    assert "remedy: " in done.stderr.splitlines()[1]
    assert done.stderr.count("\n") == 2
    assert not out.exists()


def test_iperf3_is_one_that_crashes(out, tmp_path):
    (tmp_path / "iperf3").write_text("#!/bin/sh\necho 'iperf 3.16 (cJSON 1.7.15)'\n")
    (tmp_path / "iperf3").chmod(0o755)
    done = recorded(out, f"{tmp_path}:{os.environ['PATH']}")
    assert done.returncode == 3
    assert "this host's iperf3 is 3.16, a version that crashes" in done.stderr.splitlines()[0]
    assert done.stderr.count("\n") == 2
    assert not out.exists()


@by_root_first
def test_ctrl_c_before_anything_was_measured(start: Start, out: Path) -> None:
    run = start("qemunet_tests", *SHORT, "--out", str(out))
    says(run, "boot 1 of 2")
    os.killpg(run.process.pid, signal.SIGINT)
    assert run.process.wait(limit(30)) == 3, run.output
    assert run.output.splitlines()[-1] == ("qemunet: interrupted before anything was measured, so nothing was recorded")
    assert "Traceback" not in run.output
    assert not out.exists()
    assert run.leaves_nothing(), run.leftovers()


@pytest.mark.slow
@by_root_first
def test_ctrl_c_in_the_middle(start: Start, out: Path) -> None:
    """A terminal sends it to the whole process group, guests and servers included."""
    run = start("qemunet_tests", *SHORT, "--blocks", "4", "--out", str(out))
    says(run, "block 2 of")
    os.killpg(run.process.pid, signal.SIGINT)
    assert run.process.wait(limit(60)) == 3, run.output
    assert "The recording ended early: interrupted by Ctrl-C." in run.output
    assert "Not measured: blocks 2 to 4." in run.output
    assert "Traceback" not in run.output
    rows = rows_of(out)
    assert rows[-1]["kind"] == "end"
    assert rows[-1]["missing"] == ["blocks 2 to 4"]
    assert sum(row["kind"] == "run" and row["block"] == 1 for row in rows) >= 4
    assert run.leaves_nothing(), run.leftovers()


@pytest.mark.slow
@by_root_first
def test_a_guest_dies_in_the_middle(start: Start, out: Path) -> None:
    run = start("qemunet_tests", *SHORT, "--blocks", "4", "--out", str(out))
    says(run, "block 2 of")
    for process in run.processes():
        if process.is_guest:
            os.kill(process.pid, signal.SIGKILL)
    assert run.process.wait(limit(60)) == 3, run.output
    rows = rows_of(out)
    assert rows[-1]["kind"] == "end"
    assert "virtio-net-pci: the guest ended" in rows[-1]["reason"]
    assert "killed by SIGKILL" in rows[-1]["reason"]
    assert rows[-1]["missing"] == ["blocks 2 to 4"]
    assert sum(row["kind"] == "run" and row["block"] == 1 for row in rows) >= 4
    assert "Not measured: blocks 2 to 4." in run.output
    assert "Traceback" not in run.output
    assert run.leaves_nothing(), run.leftovers()


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small disk")
def test_a_disk_is_full(tmp_path: Path) -> None:
    """A disk of a few rows, seen only by this run; what is on it is copied while it is there."""
    disk, kept = tmp_path / "disk", tmp_path / "kept.jsonl"
    disk.mkdir()
    record = f"{sys.executable} -m qemunet_tests {' '.join(SHORT)} --blocks 4 --out {disk}/out.jsonl"
    script = f"mount -t tmpfs -o size=80k none {disk}; {record}; status=$?; cp {disk}/out.jsonl {kept}; exit $status"
    done = subprocess.run(
        ["unshare", "-m", "sh", "-c", script], check=False, capture_output=True, text=True, timeout=400
    )
    assert done.returncode == 3, done.stderr
    said = " ".join(done.stdout.split())
    assert "The recording ended early: no space is left for" in said
    assert "it holds what was measured until now" in said
    assert "Traceback" not in done.stderr
    rows = rows_of(kept)
    assert rows[0]["kind"] == "session"
    assert sum(row["kind"] == "run" for row in rows) >= 2
