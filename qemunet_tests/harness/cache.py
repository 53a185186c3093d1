"""Where built guests and probe results are kept between runs."""

import os
import stat
from pathlib import Path

from qemunet_tests.harness.errors import UsageError
from qemunet_tests.harness.host.account import user_name

SYSTEM_CACHE = Path("/var/cache/qemunet")
#: For users without a home.
EVERYBODYS = Path("/var/tmp")
_REMEDY = ", or name another one in QEMUNET_CACHE"


def cache_root() -> Path:
    """The folder this user may write. It is not created here.

    Root keeps its cache where other users can read it, because root's home is closed to the user QEMU runs as.
    """
    if chosen := os.environ.get("QEMUNET_CACHE"):
        return Path(chosen)
    if os.getuid() == 0:
        return SYSTEM_CACHE
    if xdg := os.environ.get("XDG_CACHE_HOME"):
        return Path(xdg) / "qemunet"
    home = Path(os.environ.get("HOME", "/nonexistent"))
    if os.access(home, os.W_OK):
        return home / ".cache" / "qemunet"
    return EVERYBODYS / f"qemunet-{os.getuid()}"


def readable_caches() -> list[Path]:
    """Where to look for what was built before: our own cache, then the one root shares; or only the one chosen."""
    shared = [] if os.environ.get("QEMUNET_CACHE") else [SYSTEM_CACHE]
    return list(dict.fromkeys([cache_root(), *shared]))


def claim(to_write: bool = True) -> None:
    """See that nobody but this user and root can have put anything into the cache, before anything in it is believed.

    To be asked on the machine itself: in a user namespace all other users look alike. Raises UsageError.
    """
    root = cache_root()
    if to_write and root.parent == EVERYBODYS:
        # What is there cannot be made by somebody else from now on; what is not there could.
        try:
            root.mkdir(mode=0o755, exist_ok=True)
        except OSError as refused:
            raise UsageError(f"the cache {root} cannot be made: {refused.strerror}") from refused
    if why := _distrust(root):
        raise UsageError(f"{why}{_REMEDY}")


def _distrust(folder: Path) -> str | None:
    """Why what lies in a folder cannot be believed; None where it can be, or is not there."""
    try:
        named, found = folder.lstat(), folder.stat()
    except OSError:
        return None
    strangers = {named.st_uid, found.st_uid} - {0, os.getuid()}
    if strangers:
        return f"the cache {folder} belongs to {user_name(strangers.pop())}: remove it"
    # A group that is this user's first one is, on most machines, his alone.
    by_group = found.st_mode & stat.S_IWGRP and found.st_gid not in (0, os.getgid())
    if by_group or found.st_mode & stat.S_IWOTH:
        return f"others may write into the cache {folder}, so that nothing in it can be believed: remove it"
    return None
