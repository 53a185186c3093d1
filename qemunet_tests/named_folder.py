"""Folders and files that a user named: somebody else who owns one on the way can put a link there to lead us off."""

import contextlib
import errno
import os
import re
import stat
from pathlib import Path, PurePath

from qemunet_tests import trust
from qemunet_tests.user_names import user_name

#: A step is looked at before it is taken; nothing is read for that.
_LOOK = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
_READ = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_OPEN_FILES = re.compile(r"/proc/(self|[0-9]+)(/task/[0-9]+)?/fd")
#: As many links as the kernel follows.
_MOST_LINKS = 40


def descriptor_of(path: Path, make: bool = False) -> int:
    """Open a folder, whose descriptor leads nowhere else whatever becomes of its name. The caller closes it.

    What is missing is made where `make` says so. Raises OSError; Distrusted for a link that neither this user nor
    root has made.
    """
    return _Walk(make).to(path)


def file_in(path: Path, flags: int) -> int:
    """Open a file with these flags of open(2), following links as far as `descriptor_of` does, to the last.

    Raises OSError, Distrusted.
    """
    return _Walk(make=False).to_file(path, flags)


class _Walk:
    """One step after the other: what is looked at cannot be exchanged before it is entered."""

    def __init__(self, make: bool) -> None:
        self._make = make
        self._links = 0

    def to(self, path: Path) -> int:
        at = self._walk(path)
        try:
            return os.open(".", _READ, dir_fd=at)
        finally:
            os.close(at)

    def to_file(self, path: Path, flags: int) -> int:
        at = self._walk(path)
        try:
            # By no name that leads there: it may be another's by now.
            return os.open(f"/proc/self/fd/{at}", flags)
        finally:
            os.close(at)

    def _walk(self, path: Path) -> int:
        at, walked = os.open("/", _LOOK), Path("/")
        waiting = list(path.absolute().parts[1:])
        try:
            while waiting:
                name = waiting.pop(0)
                step = self._step(name, at, walked)
                if stat.S_ISLNK(os.fstat(step).st_mode):
                    target = self._target(step, walked / name)
                    waiting = [*_steps(target), *waiting]
                    step = os.open("/", _LOOK) if target.is_absolute() else os.dup(at)
                    walked = Path("/") if target.is_absolute() else walked
                else:
                    walked = walked.parent if name == ".." else walked / name
                os.close(at)
                at = step
        except BaseException:
            os.close(at)
            raise
        return at

    def _step(self, name: str, at: int, walked: Path) -> int:
        # What a process has open is a link that its text does not lead to: `pipe:[4711]`, or a file that was removed.
        look = os.O_PATH | os.O_CLOEXEC if _OPEN_FILES.fullmatch(str(walked)) else _LOOK
        try:
            return os.open(name, look, dir_fd=at)
        except FileNotFoundError:
            if not self._make:
                raise
        with contextlib.suppress(FileExistsError):
            # Ours alone to write into, whatever our umask says: another's report would be taken for it.
            os.mkdir(name, 0o755, dir_fd=at)
        return os.open(name, _LOOK, dir_fd=at)

    def _target(self, link: int, called: Path) -> PurePath:
        """Where a link leads to. Closes it."""
        try:
            self._links += 1
            if self._links > _MOST_LINKS:
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(called))
            found = os.fstat(link)
            if trust.is_a_strangers(called, found):
                raise trust.Distrusted(f"{called} is a link, and belongs to {user_name(found.st_uid)}")
            return PurePath(os.readlink("", dir_fd=link))
        finally:
            os.close(link)


def _steps(target: PurePath) -> list[str]:
    return list(target.parts[1:] if target.is_absolute() else target.parts)
