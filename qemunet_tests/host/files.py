"""Reading small files below a root folder that stands for `/`."""

import os
from pathlib import Path

MACHINE = Path("/")


def under(root: Path, path: str) -> Path:
    """Where the absolute `path` lies when `root` stands for `/`."""
    return root / path.lstrip("/")


def read_bytes(root: Path, path: str) -> bytes | None:
    """The whole file, or None where it is missing or closed to us."""
    try:
        return under(root, path).read_bytes()
    except OSError:
        return None


def read_text(root: Path, path: str) -> str | None:
    """The file as text without surrounding blanks, or None where it is missing or closed to us."""
    content = read_bytes(root, path)
    return None if content is None else content.decode(errors="replace").strip()


def read_int(root: Path, path: str) -> int | None:
    """The number the file holds (decimal, or hexadecimal with 0x), or None."""
    text = read_text(root, path)
    try:
        return None if text is None else int(text, 0)
    except ValueError:
        return None


def net_table(root: Path, name: str) -> list[list[str]]:
    """The rows of a table of the caller's network namespace, in words and without the heading; none where it lacks."""
    folder = "/proc/thread-self/net" if root == MACHINE else "/proc/net"
    return [row.split() for row in (read_text(root, f"{folder}/{name}") or "").splitlines()[1:]]


def names_in(root: Path, path: str) -> list[str]:
    """What a folder holds, sorted; nothing where it is missing or closed to us."""
    try:
        return sorted(entry.name for entry in under(root, path).iterdir())
    except OSError:
        return []


def first_closed(root: Path, path: str) -> str | None:
    """The first folder on the way to `path` that this process may not enter, or the file itself if it is closed."""
    place = under(root, path)
    for folder in reversed(place.parents):
        if folder.is_dir() and not os.access(folder, os.X_OK):
            return _seen_from(root, folder)
    # Without the right to enter the folder nobody knows whether the file exists.
    return _seen_from(root, place) if place.exists() and not os.access(place, os.R_OK) else None


def _seen_from(root: Path, place: Path) -> str:
    return f"/{place.relative_to(root)}"
