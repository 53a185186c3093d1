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

from qemunet_tests import posix_acl
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


def against(path: Path, descriptor: int | None = None, owner_uid: int = 0) -> str | None:
    """Why nothing about `path`, or what was opened by that name as `descriptor`, can be believed; None where it can.

    `owner_uid` is believed as root and this user are. Raises OSError.
    """
    found = path.lstat() if descriptor is None else os.fstat(descriptor)
    if found.st_uid != owner_uid and is_a_strangers(path, found):
        return f"{path} belongs to {user_name(found.st_uid)}"
    written = written_by_others(path if descriptor is None else descriptor, found, owner_uid)
    return f"others may write into {path}" if written else None


def is_a_strangers(path: Path, found: os.stat_result) -> bool:
    """Whether `path`, of which `found` was learned, belongs to neither this user nor root."""
    return found.st_uid not in (0, os.getuid()) and not _roots_by_all_signs(path, found)


def against_entry(path: Path) -> str | None:
    """The same of a folder by its name, or of a file that is only listed. A link has to lead to something as good."""
    try:
        if not path.is_symlink():
            return against(path)
        return against(path) or against_the_way_to(path) or against(path.resolve())
    except OSError as refused:
        return f"{path} cannot be looked at: {refused.strerror}"


def against_the_way_to(folder: Path, any_group: bool = False) -> str | None:
    """The same of every folder and link that leads to `folder`, which need not exist.

    Where others may write, but take away nothing that is not theirs (the sticky bit), only what is there matters.
    `any_group` as in `written_by_others`. Raises OSError.
    """
    owner_of_all = Path("/").stat().st_uid
    for step in _steps(folder):
        if (uid := step.lstat().st_uid) not in (0, os.getuid(), owner_of_all):
            return f"{step} belongs to {user_name(uid)}"
    for step in _steps(folder):
        found = step.lstat()
        if not found.st_mode & stat.S_ISVTX and written_by_others(step, found, owner_of_all, any_group):
            return f"others may write into {step}"
    return None


def opened(path: Path, owner_uid: int = 0) -> IO[bytes]:
    """Open a regular file for reading that nobody else can have put there, nor anybody but this user and `owner_uid`.

    Raises Distrusted, OSError.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        regular = stat.S_ISREG(os.fstat(descriptor).st_mode)
        why = against(path, descriptor, owner_uid) if regular else f"{path} is no regular file"
        if why:
            raise Distrusted(why)
        return os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def written_by_others(at: int | Path, found: os.stat_result, owner_uid: int = 0, any_group: bool = False) -> bool:
    """Whether others than this user, root and `owner_uid` may write to what is open or has a name; a link is nobody's.

    A group that is this user's first one is, on most machines, his alone. `any_group` says that it may be any group
    which the file itself has, but none that a list names beside it. Raises OSError.
    """
    if stat.S_ISLNK(found.st_mode):
        return False
    users, groups = posix_acl.writers(at, found)
    strangers = groups - {0, os.getgid()} - ({found.st_gid} if any_group else set())
    return bool(found.st_mode & stat.S_IWOTH or users - {0, os.getuid(), owner_uid} or strangers)


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
