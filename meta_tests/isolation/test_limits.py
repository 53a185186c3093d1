"""Limits around a run: of processes, memory and descriptors, by control groups and by setrlimit(2).

However little there is, nothing is called broken, whoever asks is answered in words, and nothing is left.
"""

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from meta_tests.patience import limit
from meta_tests.qemunet_command import clean_environment
from meta_tests.user_accounts import CHECKOUT
from qemunet_tests.deadline import Deadline

pytestmark = pytest.mark.slow
COMMAND = (str(CHECKOUT / "bootstrap"), "qemunet", "run", "user/gateway", "--accel", "tcg", "-n", "1")
CGROUPS = Path("/sys/fs/cgroup")
#: By controller: what holds the limit, where it has a hierarchy of its own (version 1) and where it has not.
LIMITS = {"pids": ("pids.max", "pids.max"), "memory": ("memory.limit_in_bytes", "memory.max")}


@contextlib.contextmanager
def control_group(controller: str, most: str) -> Iterator[Path]:
    """A control group of our own with a limit. Skips where there can be none."""
    first = (CGROUPS / controller).is_dir()
    group = (CGROUPS / controller if first else CGROUPS) / f"qemunet-meta-{os.getpid()}"
    try:
        group.mkdir()
    except OSError as refused:
        pytest.skip(f"no control group can be made here: {refused.strerror}")
    try:
        file = group / LIMITS[controller][0 if first else 1]
        if not file.exists():
            pytest.skip(f"the controller {controller} is not enabled here")
        file.write_text(most)
        yield group
        empty = Deadline(20, "what was started in the group to end")
        empty.wait_until(lambda: not (group / "cgroup.procs").read_text().split())
    finally:
        group.rmdir()


def ended(*before: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [*before, *COMMAND], env=clean_environment(), capture_output=True, text=True, check=False, timeout=limit(300)
    )


def require_honest(done: "subprocess.CompletedProcess[str]") -> None:
    assert done.returncode in (0, 3), done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert not done.returncode or done.stderr.startswith("qemunet: ") or "inconclusive" in done.stdout


@pytest.mark.parametrize("most", [8, 12, 18, 24])
def test_few_processes(most: int) -> None:
    with control_group("pids", str(most)) as group:
        require_honest(ended("sh", "-c", 'echo $$ >"$0"/cgroup.procs && exec "$@"', str(group)))


@pytest.mark.parametrize("most_mb", [150, 220, 300])
def test_little_memory(most_mb: int) -> None:
    """The kernel ends whom it likes. Where that is the run itself nothing is said, and nothing is left either."""
    with control_group("memory", f"{most_mb}M") as group:
        done = ended("sh", "-c", 'echo $$ >"$0"/cgroup.procs && exec "$@"', str(group))
        if done.returncode != -9:
            require_honest(done)


@pytest.mark.parametrize("limits", ["--nofile=32:32", "--nofile=64:64", "--as=400000000", "--as=1200000000"])
def test_limits_of_a_shell(limits: str) -> None:
    done = ended("prlimit", limits)
    require_honest(done)
    assert "install it again" not in done.stderr or "lift the limit and try again" in done.stderr
