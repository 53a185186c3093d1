"""Has a server of the lab fail, as by an accident: `pytest -p meta_tests.planted.lab_failing`.

QEMUNET_META_FAILS says how.
"""

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from qemunet_tests.network import Lab

FAILS = "QEMUNET_META_FAILS"


def pytest_qemunet_lab_built(lab: "Lab") -> None:
    process = lab.dhcp._process
    assert process
    os.kill(process.pid, int(os.environ[FAILS]))
