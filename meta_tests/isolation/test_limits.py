"""Limits around a run: of processes, memory and descriptors, by control groups and by setrlimit(2).

However little there is, nothing is called broken, whoever asks is answered in words, and nothing is left.
"""

import json
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from meta_tests.isolation.control_group import ENTER, PERIOD_US, control_group
from meta_tests.patience import limit
from meta_tests.qemunet_command import clean_environment
from meta_tests.user_accounts import CHECKOUT

pytestmark = pytest.mark.slow
COMMAND = (str(CHECKOUT / "bootstrap"), "qemunet", "run", "user/gateway", "--accel", "tcg", "-n", "1")


def ended(
    *before: str, words: Sequence[str] = COMMAND, cwd: Path | None = None, seconds: float = 300
) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [*before, *words], env=clean_environment(), capture_output=True, text=True, check=False, cwd=cwd,
        timeout=limit(seconds),
    )  # fmt: skip


def require_honest(done: "subprocess.CompletedProcess[str]") -> None:
    assert done.returncode in (0, 3), done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert not done.returncode or done.stderr.startswith("qemunet: ") or "inconclusive" in done.stdout


@pytest.mark.parametrize("most", [8, 12, 18, 24])
def test_few_processes(most: int) -> None:
    with control_group("pids", str(most)) as group:
        require_honest(ended("sh", "-c", ENTER, str(group)))


@pytest.mark.parametrize("most_mb", [150, 220, 300])
def test_little_memory(most_mb: int) -> None:
    """The kernel ends whom it likes. Where that is the run itself nothing is said, and nothing is left either."""
    with control_group("memory", f"{most_mb}M") as group:
        done = ended("sh", "-c", ENTER, str(group))
        if done.returncode != -9:
            require_honest(done)


@pytest.mark.parametrize("percent", [15, 40])
def test_little_of_a_processor(percent: int, tmp_path: Path) -> None:
    """Everything takes long, what compares times included, and nothing is called broken for that."""
    claims = ("user/address", "bridge/lease-address", "bridge/stp-delays-lease", "user/throughput-below-bridge")
    words = (str(CHECKOUT / "bootstrap"), "qemunet", "run", *claims, "--accel", "tcg", "-n", "1", "--report", "out")
    with control_group("cpu", str(PERIOD_US * percent // 100)) as group:
        done = ended("sh", "-c", ENTER, str(group), words=words, cwd=tmp_path, seconds=1200)
        throttled = dict(line.split() for line in (group / "cpu.stat").read_text().splitlines())
        assert int(throttled["nr_throttled"]) > 20, "it was never held up"
    require_honest(done)
    said = {each["claim"]: each for each in json.loads((tmp_path / "out/results.json").read_text())["verdicts"]}
    assert set(said) == set(claims)
    assert {each["verdict"] for each in said.values()} <= {"holds", "inconclusive"}, said
    assert all(each["reason"] for each in said.values() if each["verdict"] == "inconclusive")


def test_a_guest_that_is_ended_for_want_of_memory_is_told_so(tmp_path: Path) -> None:
    """The limit lets the run itself live, and QEMU no longer than until its guest has touched its memory."""
    with control_group("memory", "260M") as group:
        words = (*COMMAND, "--cold", "--report", "out")
        done = ended("sh", "-c", ENTER, str(group), words=words, cwd=tmp_path)
    assert done.returncode == 3, done.stdout + done.stderr
    (verdict,) = json.loads((tmp_path / "out/results.json").read_text())["verdicts"]
    assert verdict["verdict"] == "inconclusive"
    assert re.search("killed by SIGKILL, and the kernel has ended .* for want of memory meanwhile", verdict["reason"])


@pytest.mark.parametrize("limits", ["--nofile=32:32", "--nofile=64:64", "--as=400000000", "--as=1200000000"])
def test_limits_of_a_shell(limits: str) -> None:
    done = ended("prlimit", limits)
    require_honest(done)
    assert "install it again" not in done.stderr or "lift the limit and try again" in done.stderr
