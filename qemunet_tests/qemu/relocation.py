"""Which file a QEMU really starts where its own help names another: it takes its folders along when it is moved.

Since 5.2 QEMU looks for what belongs to it beside its own executable: in `qemu-bundle`, which a build tree has, else as
far from its folder as the configured place is from the configured bindir. Source: get_relocated_path in util/cutils.c.
"""

import os
import re
from collections.abc import Sequence
from pathlib import Path

from qemunet_tests.host import paths_in_binary

_BUNDLE = "qemu-bundle"
#: Every QEMU has this in it, to print its version.
_SIGN = b"QEMU emulator version"


def started(configured: str, executable: Path, told_folders: Sequence[str]) -> str:
    """Where a QEMU that runs from `executable` looks for the file that was configured as `configured`.

    `told_folders` are what it says to `-L help`: data folders that it has relocated, or would have.
    """
    here = executable.parent
    if os.access(here / _BUNDLE, os.R_OK):
        return str(here / _BUNDLE) + configured
    for folder in told_folders:
        moved = re.fullmatch(r"((?:/\.\.)+)(/.+)", folder.removeprefix(str(here)))
        prefix = moved and _prefix(configured, moved[2], executable)
        if moved and prefix is not None:
            return f"{Path(str(here) + moved[1]).resolve()}".rstrip("/") + configured.removeprefix(prefix)
    return configured


def _prefix(configured: str, below: str, executable: Path) -> str | None:
    """The prefix that QEMU was configured with: before `below` it is the name of a data folder in the binary."""
    above = [str(folder).rstrip("/") for folder in Path(configured).parents]
    return next((each for each in above if paths_in_binary.contains(executable, f"{each}{below}\0".encode())), None)


def is_qemu(executable: Path) -> bool:
    """Whether a file is a QEMU itself, and not a wrapper or an interpreter."""
    try:
        beginning = next(paths_in_binary.pieces(executable), b"")
        return beginning.startswith(b"\x7fELF") and paths_in_binary.contains(executable, _SIGN)
    except OSError:
        return False
