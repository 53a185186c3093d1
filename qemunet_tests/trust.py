"""Whether what lies somewhere can have been put there by nobody but this user and root.

Asked of the descriptor that a thing is read by, because a name may mean another file a moment later. In the user
namespace of an ordinary user's lab root looks like everybody else: there an owner without a name is believed where the
machine itself, asked before the lab was entered, had nothing against the place.
"""

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from qemunet_tests.user_names import user_name

#: Set by `remember` for the run's workers: the user namespace that was asked, then what was distrusted in it.
REMEMBERED = "QEMUNET_DISTRUSTED"
#: Whom the kernel names where a file's owner is not of this user namespace, unless it was told another.
_NAMELESS = Path("/proc/sys/kernel/overflowuid")
#: As many links as the kernel follows, and folders enough.
_MOST_STEPS = 400


class Distrusted(PermissionError):
    """Somebody else can have put it there."""

    def __str__(self) -> str:
        return str(self.args[0])

    @property
    def strerror(self) -> str:  # type: ignore[override]
        """What the system's own refusals have; it is put into sentences."""
        return str(self)


def against(path: Path, found: os.stat_result, owner_uid: int = 0) -> str | None:
    """Why nothing about `path`, of which `found` was learned, can be believed; None where it can.

    `owner_uid` is believed as root and this user are.
    """
    if found.st_uid != owner_uid and is_a_strangers(path, found):
        return f"{path} belongs to {user_name(found.st_uid)}"
    return f"others may write into {path}" if _written_by_others(found) else None


def is_a_strangers(path: Path, found: os.stat_result) -> bool:
    """Whether `path`, of which `found` was learned, belongs to neither this user nor root."""
    return found.st_uid not in (0, os.getuid()) and not _roots_by_all_signs(path, found)


def against_entry(path: Path) -> str | None:
    """The same of a folder by its name, or of a file that is only listed. A link has to lead to something as good."""
    try:
        named = path.lstat()
        if not stat.S_ISLNK(named.st_mode):
            return against(path, named)
        return against(path, named) or against_the_way_to(path) or against(path.resolve(), path.stat())
    except OSError as refused:
        return f"{path} cannot be looked at: {refused.strerror}"


def against_the_way_to(folder: Path) -> str | None:
    """The same of every folder and link that leads to `folder`, which need not exist.

    Where others may write, but take away nothing that is not theirs (the sticky bit), only what is there matters.
    """
    if owner := owner_of_the_way_to(folder):
        return owner
    for step in _steps(folder):
        found = step.lstat()
        if stat.S_ISDIR(found.st_mode) and not found.st_mode & stat.S_ISVTX and _written_by_others(found):
            return f"others may write into {step}"
    return None


def owner_of_the_way_to(folder: Path) -> str | None:
    """Who else owns a folder or link that leads to `folder`, in words. A group that may write there is another matter.

    Raises OSError.
    """
    owner_of_all = Path("/").stat().st_uid
    for step in _steps(folder):
        if (uid := step.lstat().st_uid) not in (0, os.getuid(), owner_of_all):
            return f"{step} belongs to {user_name(uid)}"
    return None


def opened(path: Path, owner_uid: int = 0) -> IO[bytes]:
    """Open a regular file for reading that nobody else can have put there, nor anybody but this user and `owner_uid`.

    Raises Distrusted, OSError.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        found = os.fstat(descriptor)
        why = against(path, found, owner_uid) if stat.S_ISREG(found.st_mode) else f"{path} is no regular file"
        if why:
            raise Distrusted(why)
        return os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def remember(distrusted: list[Path]) -> None:
    """Have this process and its children know in a lab what the machine itself had something against."""
    os.environ[REMEMBERED] = "\n".join([_user_namespace(), *map(str, distrusted)])


def _roots_by_all_signs(path: Path, found: os.stat_result) -> bool:
    asked, *distrusted = os.environ.get(REMEMBERED, "").split("\n")
    if asked in ("", _user_namespace()) or found.st_uid != int(_NAMELESS.read_text()):
        return False
    return not any(path.is_relative_to(each) for each in distrusted)


def _user_namespace() -> str:
    return str(Path("/proc/self/ns/user").readlink())


def _written_by_others(found: os.stat_result) -> bool:
    # A group that is this user's first one is, on most machines, his alone.
    by_group = found.st_mode & stat.S_IWGRP and found.st_gid not in (0, os.getgid())
    return not stat.S_ISLNK(found.st_mode) and bool(by_group or found.st_mode & stat.S_IWOTH)


def _steps(folder: Path) -> Iterator[Path]:
    """Every folder and link that is passed on the way to `folder`, as far as it exists, without `folder` itself."""
    at, waiting = Path("/"), list(folder.absolute().parts[1:])
    for _ in range(_MOST_STEPS):
        yield at
        if not waiting:
            return
        at /= waiting.pop(0)
        if at.is_symlink():
            yield at
            target = at.readlink()
            waiting = [*(target.parts[1:] if target.is_absolute() else target.parts), *waiting]
            at = Path("/") if target.is_absolute() else at.parent
        elif at.name == "..":
            at = at.parent.parent
        if not waiting or not at.is_dir():
            return
