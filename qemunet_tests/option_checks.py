"""Whether the things that options name are there on this machine. All raise UsageError, beginning with `flag`."""

import os
import shutil
import socket
import tempfile
from ipaddress import IPv4Address
from pathlib import Path

from qemunet_tests.errors import UsageError
from qemunet_tests.host.search_path import search_path


def executable(path: Path, flag: str) -> Path:
    """A program's absolute path; a name without a slash is looked for in the PATH."""
    found = path if path.is_absolute() else Path(shutil.which(path, path=search_path()) or "/nonexistent")
    if not found.is_file():
        raise UsageError(f"{flag}: there is no {str(path)!r}")
    if not os.access(found, os.X_OK):
        raise UsageError(f"{flag}: {str(path)!r} is not executable")
    return found.absolute()


def readable(path: Path, flag: str) -> Path:
    """A file's absolute path."""
    if not path.is_file():
        raise UsageError(f"{flag}: there is no file {str(path)!r}")
    if not os.access(path, os.R_OK):
        raise UsageError(f"{flag}: {str(path)!r} cannot be read")
    return path.absolute()


def writable_folder(path: Path, flag: str) -> Path:
    """A folder's absolute path; it is made if it is not there."""
    try:
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            pass
    except OSError as error:
        raise UsageError(f"{flag}: cannot write into {str(path)!r}: {error.strerror}") from None
    return path.absolute()


def bridge(name: str, flag: str) -> None:
    """The kernel has a bridge of this name."""
    if not Path("/sys/class/net", name, "bridge").is_dir():
        raise UsageError(f"{flag}: this host has no bridge {name!r}")


def another_machine(address: str, flag: str) -> None:
    """An IPv4 address that can be another machine's."""
    if not _is_ipv4(address):
        raise UsageError(f"{flag}: {address!r} is not an IPv4 address of one machine")
    if _is_of_this_host(address):
        raise UsageError(
            f"{flag}: {address} is this host itself, and what guests reach there says "
            "nothing about the LAN: name another machine"
        )


def _is_ipv4(text: str) -> bool:
    try:
        return not IPv4Address(text).is_multicast
    except ValueError:
        return False


def _is_of_this_host(address: str) -> bool:
    """Whether the kernel binds a socket to it, as it does to its own."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        try:
            asking.bind((address, 0))
        except OSError:
            return False
        return True
