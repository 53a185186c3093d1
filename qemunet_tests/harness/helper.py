"""QEMU's bridge helper as a private copy, whose setuid bit is ours to set; the machine's own stays untouched."""

import os
import shutil
import stat
from pathlib import Path

from qemunet_tests.harness.namespaces import SCRATCH
from qemunet_tests.harness.syscalls import MS_BIND, mount

ORDINARY = 0o755


class BridgeHelper:
    """The helper at the path that this QEMU looks at."""

    def __init__(self, path: str | None) -> None:
        self.path = Path(path or "")
        self._copy = SCRATCH / "qemu-bridge-helper"

    def give_setuid(self) -> bool:
        """Make the helper setuid root, as the post does; whether that can be done.

        An ordinary user's namespace may have one user id and no root: then the bit has nobody to turn the caller
        into.
        """
        if not self._is_placed():
            return False
        try:
            os.chown(self._copy, 0, -1)
        except OSError:
            return False
        self._copy.chmod(ORDINARY | stat.S_ISUID)
        return True

    def take_setuid(self) -> None:
        """Make the helper a file like any other, as Debian ships it."""
        if self._is_placed():
            self._copy.chmod(ORDINARY)

    def _is_placed(self) -> bool:
        if self._copy.exists():
            return True
        if not self.path.is_file():
            return False
        shutil.copyfile(self.path, self._copy)
        self._copy.chmod(ORDINARY)
        mount(str(self._copy), str(self.path), None, MS_BIND)
        return True
