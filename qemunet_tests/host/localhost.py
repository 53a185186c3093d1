"""What `localhost` and other names mean to programs of this host, as far as its own file says. Source: hosts(5)."""

from collections.abc import Iterator
from pathlib import Path

from qemunet_tests.host.files import MACHINE, read_text

PATH = "/etc/hosts"


def names_of(root: Path = MACHINE) -> Iterator[tuple[str, list[str]]]:
    """Every address of the file with its names, in the file's order."""
    for line in (read_text(root, PATH) or "").splitlines():
        words = line.partition("#")[0].split()
        if words:
            yield words[0], words[1:]


def addresses(root: Path = MACHINE) -> tuple[str, ...]:
    """In the file's order; none where it does not name it, and others are asked."""
    return tuple(address for address, names in names_of(root) if "localhost" in names)
