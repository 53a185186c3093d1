"""A control group of our own with a limit, of whichever version this machine has."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from qemunet_tests.deadline import Deadline

#: Goes into the control group that its first word names, and is the command behind that.
ENTER = 'echo $$ >"$0"/cgroup.procs && exec "$@"'
CGROUPS = Path("/sys/fs/cgroup")
#: By controller: what holds the limit, where it has a hierarchy of its own (version 1) and where it has not.
LIMITS = {
    "pids": ("pids.max", "pids.max"),
    "memory": ("memory.limit_in_bytes", "memory.max"),
    "cpu": ("cpu.cfs_quota_us", "cpu.max"),
}
#: cpu.cfs_period_us, and what cpu.max takes for granted.
PERIOD_US = 100_000


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
