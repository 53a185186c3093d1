"""Limits of control groups: of the version this machine has for real, of both as trees of files."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from meta_tests.isolation.control_group import ENTER, control_group
from qemunet_tests.host import control_groups, resources, system
from qemunet_tests.host.control_groups import MemoryOfGroup

GIB = 1 << 30
SHOW = "from qemunet_tests.host import resources, system; print(system.cpus(), resources.memory().total_mb)"


def tree(root: Path, files: dict[str, str]) -> Path:
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content)
    return root


def version_2(root: Path, *, group: str, top: str = "/") -> Path:
    """Eight processors and 8 GiB, half of them free, and one hierarchy without limits."""
    return tree(
        root,
        {
            "proc/self/cgroup": f"0::{group}\n",
            "proc/self/mountinfo": f"24 23 0:22 {top} /sys/fs/cgroup ro,nosuid shared:9 - cgroup2 cgroup2 rw\n",
            "proc/meminfo": "MemTotal: 8388608 kB\nMemAvailable: 4194304 kB\n",
            "proc/cpuinfo": "processor\t: 0\n" * 8,
        },
    )


def test_the_tightest_of_all_groups_on_the_way_up_counts(tmp_path: Path) -> None:
    root = tree(
        version_2(tmp_path, group="/user.slice/run.scope"),
        {
            "sys/fs/cgroup/user.slice/memory.max": str(2 * GIB),
            "sys/fs/cgroup/user.slice/memory.current": str(GIB),
            "sys/fs/cgroup/user.slice/memory.stat": f"anon 5\ninactive_file {GIB // 4}\n",
            "sys/fs/cgroup/user.slice/cpu.max": "400000 100000\n",
            "sys/fs/cgroup/user.slice/run.scope/memory.max": "max\n",
            "sys/fs/cgroup/user.slice/run.scope/cpu.max": "250000 100000\n",
            # Of somebody else.
            "sys/fs/cgroup/system.slice/memory.max": "1",
            "sys/fs/cgroup/system.slice/cpu.max": "1000 100000",
        },
    )
    assert control_groups.memory(root) == [MemoryOfGroup(2 * GIB, GIB - GIB // 4)]
    assert resources.memory(root) == resources.Memory(2048, 2048 - 768)
    assert system.cpus(root) == 3


@pytest.mark.parametrize(
    ("group", "top"),
    [
        ("/", "/"),  # a namespace of its own
        ("/docker/f00", "/docker/f00"),  # none: the host's path, and what is mounted begins there
    ],
)
def test_in_a_container_its_group_is_the_uppermost(tmp_path: Path, group: str, top: str) -> None:
    root = version_2(tmp_path, group=group, top=top)
    tree(root, {"sys/fs/cgroup/memory.max": str(GIB), "sys/fs/cgroup/cpu.max": "50000 100000"})
    assert resources.memory(root).total_mb == 1024
    assert system.cpus(root) == 1


@pytest.mark.parametrize("group", ["/../other", "/docker/f00"])
def test_a_group_that_is_not_mounted_has_no_limit_that_is_known(tmp_path: Path, group: str) -> None:
    root = tree(version_2(tmp_path, group=group, top="/mine"), {"sys/fs/cgroup/memory.max": "1"})
    assert (resources.memory(root), system.cpus(root)) == (resources.Memory(8192, 4096), 8)


def test_version_1_has_a_hierarchy_for_each(tmp_path: Path) -> None:
    root = tree(
        tmp_path,
        {
            "proc/self/cgroup": "4:memory:/box\n3:cpu,cpuacct:/\n1:name=systemd:/\n0::/elsewhere\n",
            "proc/self/mountinfo": (
                "32 31 0:29 / /cg/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n"
                "35 31 0:32 / /cg/memory rw - cgroup cgroup rw,memory\n"
                "41 31 0:38 / /cg/unified rw - cgroup2 cgroup2 rw\n"
            ),
            "cg/cpu,cpuacct/cpu.cfs_quota_us": "-1",
            "cg/cpu,cpuacct/cpu.cfs_period_us": "100000",
            "cg/memory/memory.limit_in_bytes": "9223372036854771712",
            "cg/memory/box/memory.limit_in_bytes": str(3 * GIB),
            "cg/memory/box/memory.usage_in_bytes": str(GIB),
            "cg/memory/box/memory.stat": f"inactive_file 1\ntotal_inactive_file {GIB}\n",
        },
    )
    assert control_groups.memory(root)[0] == MemoryOfGroup(3 * GIB, 0)
    assert control_groups.cpus(root) is None


@pytest.mark.parametrize(
    ("controller", "most", "shown"), [("cpu", "100000", (1, None)), ("memory", "700M", (None, 700))]
)
def test_in_a_real_group(controller: str, most: str, shown: tuple[int | None, int | None]) -> None:
    if os.geteuid():
        pytest.skip("only root makes control groups here")
    with control_group(controller, most) as group:
        told = subprocess.check_output(["sh", "-c", ENTER, str(group), sys.executable, "-P", "-c", SHOW], text=True)
    free = (system.cpus(), resources.memory().total_mb)
    assert tuple(map(int, told.split())) == tuple(limit or whole for limit, whole in zip(shown, free, strict=True))
