"""Whether the things that options name are there on this machine. All raise UsageError, beginning with `flag`."""

import errno
import os
import shutil
import socket
import tempfile
from ipaddress import IPv6Address, ip_address
from pathlib import Path

from qemunet_tests.errors import HarnessError, UsageError
from qemunet_tests.host.search_path import search_path
from qemunet_tests.isolation.folder import opened

#: No fault of who named a folder: it takes files, but not now. Whatever else is wrong with one is wrong usage.
_NO_ROOM = (
    errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.ENOMEM, errno.EMFILE, errno.ENFILE, errno.ESTALE
)  # fmt: skip


def executable(path: Path, flag: str) -> Path:
    """A program's absolute path; a name without a slash is looked for in the PATH."""
    found = path if path.is_absolute() else Path(shutil.which(path, path=search_path()) or "/nonexistent")
    if found.is_dir():
        raise UsageError(f"{flag}: {str(path)!r} is a folder, and no program")
    if not found.is_file():
        raise UsageError(f"{flag}: there is no {str(path)!r}")
    if not os.access(found, os.X_OK):
        raise UsageError(f"{flag}: {str(path)!r} is not executable")
    return found.absolute()


def readable(path: Path, flag: str) -> Path:
    """A file's absolute path."""
    if path.is_dir():
        raise UsageError(f"{flag}: {str(path)!r} is a folder, and no file")
    if not path.is_file():
        raise UsageError(f"{flag}: there is no file {str(path)!r}")
    if not os.access(path, os.R_OK):
        raise UsageError(f"{flag}: {str(path)!r} cannot be read")
    return path.absolute()


def writable_folder(path: Path, flag: str) -> Path:
    """A folder's absolute path; it is made if it is not there. Raises HarnessError where there is no room."""
    try:
        with opened(path, make=True) as folder, tempfile.TemporaryFile(dir=f"/proc/self/fd/{folder.descriptor}"):
            pass
    except OSError as error:
        raise refusal(path, flag, error) from None
    return path.absolute()


def refusal(folder: Path, flag: str, error: OSError) -> UsageError | HarnessError:
    """What to raise where nothing can be written into a folder: an error of use, unless it is only full or failing."""
    kind = HarnessError if error.errno in _NO_ROOM else UsageError
    return kind(f"{flag}: cannot write into {str(folder)!r}: {error.strerror}")


def bridge(name: str, flag: str) -> None:
    """The kernel has a bridge of this name."""
    there = Path("/sys/class/net", name)
    if there.exists() and not (there / "bridge").is_dir():
        raise UsageError(
            f"{flag}: {name!r} is an interface of this host and no bridge of the kernel's, and QEMU's helper joins no "
            "other: a tap made by hand may be plugged into it, for -netdev tap"
        )
    if not there.exists():
        others = ", ".join(sorted(each.parent.name for each in there.parent.glob("*/bridge")))
        hint = f"it has {others}" if others else "`qemunet doctor --mode bridge` says how one is made"
        raise UsageError(f"{flag}: this host has no bridge {name!r}; {hint}")


def another_machine(address: str, flag: str) -> None:
    """An address that can be another machine's, in the same network or not."""
    if not _of_one_machine(address):
        raise UsageError(f"{flag}: {address!r} is not an IPv4 address of one machine, nor an IPv6 address")
    found = ip_address(address)
    if isinstance(found, IPv6Address) and found.ipv4_mapped:
        raise UsageError(f"{flag}: {address} is an IPv4 address: write {found.ipv4_mapped}")
    if isinstance(found, IPv6Address) and found.is_link_local:
        raise UsageError(f"{flag}: {address} is another machine on every link: name an address that is not link-local")
    if _is_of_this_host(address):
        raise UsageError(
            f"{flag}: {address} is this host itself, and what guests reach there says "
            "nothing about the LAN: name another machine"
        )


def _of_one_machine(text: str) -> bool:
    try:
        return not ip_address(text).is_multicast and "%" not in text
    except ValueError:
        return False


def _is_of_this_host(address: str) -> bool:
    """Whether the kernel binds a socket to it, as it does to its own."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as asking:
        try:
            asking.bind((address, 0))
        except OSError:
            return False
        return True
