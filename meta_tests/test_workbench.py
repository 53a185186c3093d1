"""What a bench is put together of, where something of it has gone meanwhile."""

from pathlib import Path

import pytest

from qemunet_tests import workbench
from qemunet_tests.errors import HarnessError
from qemunet_tests.qemu.accel import Accel
from qemunet_tests.settings import Settings


def test_an_image_that_was_removed_meanwhile_speaks_against_no_promise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QEMUNET_CACHE", str(tmp_path / "removed"))
    # Not Unavailable, as of a host that cannot build one: this host had it.
    with pytest.raises(HarnessError, match="'tiny' was there when this began, and is gone"):
        workbench.machine_of(Settings(), Accel("tcg", "chosen", 1.0))
