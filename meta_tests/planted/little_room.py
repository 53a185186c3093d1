"""Leaves a run little room for what it writes while it lasts: `pytest -p meta_tests.planted.little_room`.

QEMUNET_META_ROOM says how much, as tmpfs(5) takes it.
"""

import os

from qemunet_tests.isolation.namespaces import SCRATCH
from qemunet_tests.isolation.syscalls import MS_REMOUNT, mount

ROOM = "QEMUNET_META_ROOM"


def pytest_qemunet_lab_built() -> None:
    mount("qemunet", str(SCRATCH), "tmpfs", MS_REMOUNT, f"size={os.environ[ROOM]}")
