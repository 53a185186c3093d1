"""Paths that were compiled into a program, read out of its file."""

import mmap
from pathlib import Path

from qemunet_tests.host.files import MACHINE, under


def path_ending(program: str, ending: str, root: Path = MACHINE) -> str | None:
    """The first text of the program that is a path and ends so; None where it has none or is closed to us."""
    try:
        with under(root, program).open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            # As C strings end.
            end = content.find(f"{ending}\0".encode())
            if end < 0:
                return None
            text = content[content.rfind(b"\0", 0, end) + 1 : end + len(ending)].decode(errors="replace")
    except (OSError, ValueError):  # an empty file cannot be mapped
        return None
    return text if text.startswith("/") and text.isprintable() else None
