"""Paths that were compiled into a program, read out of its file: which may be a stranger's, and of any size."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from qemunet_tests.host.files import MACHINE, under

#: Many times what a QEMU has with all that its debugger needs. A file may claim to be as large as it likes.
MOST_BYTES = 1 << 29
_PIECE_BYTES = 1 << 22
#: No path is longer.
_OVERLAP_BYTES = 4096


def path_ending(program: str, ending: str, root: Path = MACHINE) -> str | None:
    """The first text of the program that is a path and ends so; None where it has none or is closed to us."""
    try:
        text = _text_ending(under(root, program), ending)
    except OSError:
        return None
    return text if text and text.startswith("/") and text.isprintable() else None


def contains(program: Path, text: bytes) -> bool:
    """Whether these bytes, of which there are no more than a path has, stand in the program. Raises OSError."""
    return any(text in piece for piece in pieces(program))


def pieces(program: Path) -> Iterator[bytes]:
    """Its content, each piece with the end of the one before; nothing of what is no regular file. Raises OSError.

    It is not mapped: whoever may cut the file short would end us by SIGBUS.
    """
    with os.fdopen(os.open(program, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as stream:
        if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
            return
        before = b""
        while stream.tell() < MOST_BYTES and (piece := stream.read(_PIECE_BYTES)):
            yield before + piece
            before = piece[-_OVERLAP_BYTES:]


def _text_ending(program: Path, ending: str) -> str | None:
    # As C strings end.
    sought = f"{ending}\0".encode()
    for piece in pieces(program):
        if (end := piece.find(sought)) >= 0:
            return piece[piece.rfind(b"\0", 0, end) + 1 : end + len(ending)].decode(errors="replace")
    return None
