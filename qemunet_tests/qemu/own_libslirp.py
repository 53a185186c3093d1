"""A libslirp of the caller's own in QEMU: how it gets there, and the proof that it did.

Source: ld.so(8), LD_LIBRARY_PATH. It goes before what is installed, unless the binary or a wrapper around it says
otherwise; so every QEMU's memory map is looked at, proc(5).
"""

import re
from pathlib import Path

from qemunet_tests.errors import HarnessError
from qemunet_tests.host.files import MACHINE, read_text
from qemunet_tests.host.process_table import descendants
from qemunet_tests.isolation.placed_file import placed

#: Its name since 4.0, by which QEMU asks for it.
_SONAME = "libslirp.so.0"
_MAPPED = re.compile(r"^(?:\S+\s+){5}(/.*libslirp\.so.*)$", re.MULTILINE)


class OwnLibslirp:
    """The copy of `file` that the QEMUs of a run load."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._copy = placed(file, _SONAME)

    @property
    def environment(self) -> list[str]:
        """What env(1) is to be told for QEMU."""
        return [f"LD_LIBRARY_PATH={self._copy.parent}"]

    def require_in(self, pid: int) -> None:
        """Raises HarnessError where the process, or what it started, has another libslirp in its memory, or none."""
        loaded = {path for each in (pid, *descendants(pid)) for path in _mapped(each)}
        if loaded != {str(self._copy)}:
            others = " and ".join(sorted(loaded - {str(self._copy)})) or "no libslirp"
            raise HarnessError(f"QEMU has {others} in its memory, and not {self._file}, which it was to be tried with")


def _mapped(pid: int) -> list[str]:
    return _MAPPED.findall(read_text(MACHINE, f"/proc/{pid}/maps") or "")
