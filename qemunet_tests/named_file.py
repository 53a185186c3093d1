"""Files that a user named: they may lie in a folder of somebody else, who can put a FIFO or a link in their place."""

import errno
import os
import stat
import tomllib
from pathlib import Path
from typing import IO, Any

from qemunet_tests import named_folder, trust
from qemunet_tests.errors import UsageError
from qemunet_tests.user_names import user_name

#: A FIFO whose other end nobody holds is not waited for.
_AT_ONCE = os.O_NONBLOCK | os.O_CLOEXEC
_PIECE_BYTES = 1 << 20


def to_read(path: Path) -> IO[bytes]:
    """Open a file for reading; a FIFO that nobody writes to is empty.

    Raises OSError; Distrusted for a FIFO or a link that a stranger put there. What root may read others may not, and
    what was read is shown to them.
    """
    return os.fdopen(_waiting(_of_one_name(named_folder.file_in(path, os.O_RDONLY | _AT_ONCE), path)), "rb")


def to_append(path: Path, make_folder: bool = False) -> int:
    """A descriptor that appends to a file, made if it is not there. Raises OSError; for a stranger's link, Distrusted.

    A link is followed where nobody but this user and root can have made it, and nobody else can change it meanwhile.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | _AT_ONCE
    folder = named_folder.descriptor_of(path.parent, make_folder)
    try:
        return _waiting(_of_one_name(os.open(path.name, flags | os.O_NOFOLLOW, 0o644, dir_fd=folder), path))
    except OSError as refused:
        if refused.errno != errno.ELOOP:
            raise
    finally:
        os.close(folder)
    if why := trust.against_the_way_to(path):
        raise trust.Distrusted(f"it is a link, and {why}")
    return _waiting(os.open(path, flags, 0o644))


def beginning(stream: IO[bytes], most_bytes: int) -> bytes:
    """What `stream` has, and no more than this: piece by piece, as Python sets all the room aside before it reads."""
    content = bytearray()
    while piece := stream.read(min(_PIECE_BYTES, most_bytes - len(content))):
        content += piece
    return bytes(content)


def toml_in(path: Path, flag: str, limit_bytes: int) -> dict[str, Any]:
    """What a TOML file says, which `flag` names. Raises UsageError, in one line, where it cannot be read as such."""
    try:
        with to_read(path) as file:
            content = file.read(limit_bytes + 1)
        if len(content) > limit_bytes:
            raise UsageError(f"{flag} {path}: it is larger than {limit_bytes >> 10} KB")
        return tomllib.loads(content.decode())
    except OSError as error:
        raise UsageError(f"{flag} {path}: {error.strerror}") from None
    except ValueError as error:
        raise UsageError(f"{flag} {path}: {error}") from None
    except RecursionError:
        raise UsageError(f"{flag} {path}: it is nested too deeply") from None


def _of_one_name(descriptor: int, path: Path) -> int:
    """The same, unless it may be a file of ours that a stranger gave this name, too (link(2)). Raises Distrusted."""
    found = os.fstat(descriptor)
    ours = stat.S_ISREG(found.st_mode) and not trust.is_a_strangers(path, found)
    if ours and found.st_nlink > 1 and (why := trust.against_the_way_to(path)):
        os.close(descriptor)
        raise trust.Distrusted(f"it has other names, and {why}")
    return descriptor


def _waiting(descriptor: int) -> int:
    """What is read or written from now on may take its time, but for whom a stranger could have wait for ever."""
    try:
        if why := _against_waiting(descriptor):
            raise trust.Distrusted(why)
        os.set_blocking(descriptor, True)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _against_waiting(descriptor: int) -> str | None:
    """Whoever made a FIFO or a terminal can hold its other end and be silent. What a shell hands us has no name."""
    found = os.fstat(descriptor)
    called = Path(f"/proc/self/fd/{descriptor}").readlink()
    handed = any(os.path.samestat(found, os.fstat(number)) for number in range(3))
    if stat.S_ISREG(found.st_mode) or handed or not called.is_absolute():
        return None
    if trust.is_a_strangers(called, found):
        return f"it is no regular file, and belongs to {user_name(found.st_uid)}"
    return None
