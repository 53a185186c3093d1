"""Makes a run stand still with a guest alive in every worker: `pytest -p meta_tests.planted.run_that_waits`.

Each worker says so with a file in the folder that QEMUNET_META_STANDSTILL names.
"""

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from qemunet_tests.guest.guest import Guest

FOLDER = "QEMUNET_META_STANDSTILL"


def pytest_qemunet_guest_booted(guest: "Guest") -> None:
    stands = Path(os.environ[FOLDER], str(os.getpid()))
    if not stands.exists():
        stands.touch()
        guest.run("sleep 1000", within_seconds=1000)
