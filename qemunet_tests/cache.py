"""Where built guests and probe results are kept between runs."""

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from qemunet_tests import posix_acl, trust
from qemunet_tests.errors import UsageError

SYSTEM_CACHE = Path("/var/cache/qemunet")
#: For users without a home.
EVERYBODYS = Path("/var/tmp")
#: The folders of a cache. A run writes into each.
SHELVES = ("images", "templates", "recordings", "failures")
#: What is read in them.
_READ = (
    "*.json",
    *SHELVES,
    "images/[!.]*",
    "templates/[!.]*",
    "recordings/*.jsonl",
    "images/[!.]*/*",
    "templates/[!.]*/*",
)


def cache_root() -> Path:
    """The folder this user may write. It is not created here.

    Root keeps its cache where other users can read it, because root's home is closed to the user QEMU runs as.
    """
    if chosen := os.environ.get("QEMUNET_CACHE"):
        return Path(chosen).absolute()
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


def make(shelf: str = "") -> Path:
    """Make this user's cache, or the folder in it that has this name, for others to read only. Raises OSError."""
    folder = cache_root() / shelf
    for each in (cache_root(), folder):
        if not each.is_dir():
            each.mkdir(parents=True, exist_ok=True)
            each.chmod(0o755)
            posix_acl.give_none(each)
    return folder


def let_others_read() -> None:
    """Whatever this process makes from now on others may read: QEMU runs as somebody else than root.

    What nobody else is to read lies in a folder that is closed, as whoever made it wants it.
    """
    os.umask(0o022)


def entries(shelf: str, pattern: str = "[!.]*") -> Iterator[Path]:
    """What lies in the folders of this name of every cache, as far as it can be believed."""
    for cache in readable_caches():
        folder = cache / shelf
        if trust.against_entry(cache) or trust.against_entry(folder):
            continue
        try:
            found = sorted(folder.glob(pattern))
        except PermissionError:  # somebody else's shelf is only a convenience
            continue
        yield from (each for each in found if trust.against_entry(each) is None)


def claim(to_write: bool = True, notice: Callable[[str], None] = lambda _: None) -> None:
    """See that nobody but this user and root can have put anything into the cache, before anything in it is believed.

    `notice` is told what is passed over: single images, templates and recordings of somebody else. To be asked on the
    machine itself: in a user namespace all other users look alike. Raises UsageError.
    """
    root = cache_root()
    if to_write and root.parent == EVERYBODYS:
        # What is there cannot be made by somebody else from now on; what is not there could.
        try:
            root.mkdir(mode=0o755, exist_ok=True)
        except OSError as refused:
            raise UsageError(f"the cache {root} cannot be made: {refused.strerror}") from refused
    try:
        # From Python 3.14 on pathlib takes whatever cannot be looked at for missing.
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            root.lstat()
        why = _against_cache(root)
    except OSError as refused:
        raise UsageError(f"the cache {root} cannot be looked at: {refused.strerror}") from refused
    if why:
        raise UsageError(why)
    passed_over = _passed_over()
    for sentence in passed_over.values():
        notice(f"{sentence}: it is passed over")
    trust.remember(list(passed_over))


def _against_cache(root: Path) -> str | None:
    """Why a cache and the folders that a run writes into cannot be used, and what to do; None where they can."""
    folders = [each for each in (root, *(root / shelf for shelf in SHELVES)) if os.path.lexists(each)]
    why = trust.against_the_way_to(root) or next(filter(None, map(trust.against_entry, folders)), None)
    return why and f"the cache {root} cannot be believed: {why}; mend that, or name another one in QEMUNET_CACHE"


def _passed_over() -> dict[Path, str]:
    """What lies in the caches and cannot be believed, with the reason."""
    found: dict[Path, str] = {}
    for cache in readable_caches():
        for path in _looked_at(cache):
            if not any(path.is_relative_to(known) for known in found) and (why := trust.against_entry(path)):
                found[path] = why
    return found


def _looked_at(cache: Path) -> Iterator[Path]:
    """A cache, its folders, what lies in them, and the files of that: the outermost first."""
    if not os.path.lexists(cache):
        return
    yield cache
    with contextlib.suppress(PermissionError):
        for pattern in _READ:
            yield from sorted(cache.glob(pattern))
