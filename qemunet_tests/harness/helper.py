"""QEMU's bridge helper as a private copy, whose mode is ours to set; the machine's own stays untouched."""

import os
import shutil
import stat
from pathlib import Path

from qemunet_tests.harness.namespaces import SCRATCH
from qemunet_tests.harness.syscalls import MS_BIND, mount

ORDINARY = 0o755
SETUID = ORDINARY | stat.S_ISUID


class BridgeHelper:
    """The helper at the path that this QEMU looks at."""

    def __init__(self, path: str | None) -> None:
        self.path = Path(path or "")
        self._copy = SCRATCH / "qemu-bridge-helper"
        self._owned_by_root = False

    def set_mode(self, mode: int) -> bool:
        """Give the helper this mode, as root's file; whether both could be done.

        An ordinary user's namespace may have one user id and no root: then a setuid bit has nobody to turn the
        caller into.
        """
        if not self._is_placed():
            return False
        self._copy.chmod(mode)
        return self._owned_by_root

    def _is_placed(self) -> bool:
        if self._copy.exists():
            return True
        if not self.path.is_file():
            return False
        shutil.copyfile(self.path, self._copy)
        try:
            os.chown(self._copy, 0, -1)
            self._owned_by_root = True
        except OSError:  # there is no root here
            self._owned_by_root = False
        mount(str(self._copy), str(self.path), None, MS_BIND)
        return True
