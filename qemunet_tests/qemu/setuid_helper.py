"""QEMU's bridge helper as a private copy, whose setuid bit is ours to set; the machine's own stays untouched."""

import contextlib
import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

from qemunet_tests import trust
from qemunet_tests.errors import HarnessError, Unavailable
from qemunet_tests.host import acl
from qemunet_tests.isolation.namespaces import SCRATCH
from qemunet_tests.isolation.placed_link import place_link
from qemunet_tests.isolation.syscalls import MS_BIND, mount

ORDINARY = 0o755
_LABS_LIST = Path(acl.DEFAULT_PATH)
IN_THE_LAB = "try it in the lab: leave --target host out"


class BridgeHelper:
    """The helper at the path that this QEMU looks at; `own` is a file to be tried in place of the one there.

    `access_list` is what the helper reads; where it was configured otherwise than a distribution's, that is the lab's.
    """

    def __init__(self, path: str | None, own: Path | None = None, access_list: Path = _LABS_LIST) -> None:
        self.path = Path(path or "")
        self._source = own or self.path
        self._access_list = access_list
        self._copy = SCRATCH / "qemu-bridge-helper"
        #: Whether the copy is of a file that nobody but root and this process's user can have written.
        self.believed = False

    def serves(self, uid: int) -> bool:
        """Whether the helper can do for this user what it could not do itself."""
        return uid != 0 and self.give_setuid()

    def give_setuid(self) -> bool:
        """Make the helper setuid root, as the post does; whether that can be done.

        An ordinary user's namespace may have one user id and no root: then the bit has nobody to turn the caller
        into. And what anybody but root can have written must not run as root: the path is QEMU's own word.
        """
        if not self._is_placed() or not self.believed:
            return False
        try:
            os.chown(self._copy, 0, -1)
        except OSError:
            return False
        self._copy.chmod(ORDINARY | stat.S_ISUID)
        return True

    @contextlib.contextmanager
    def without_setuid(self) -> Iterator[None]:
        """Meanwhile the helper is a file like any other, as Debian ships it. A guest that outlives a test may have a
        NIC plugged in after it, which takes a helper that serves."""
        had = _has_setuid(self.path)
        if self._is_placed():
            self._copy.chmod(ORDINARY)
        try:
            yield
        finally:
            if had:
                self.give_setuid()

    def _is_placed(self) -> bool:
        """Put the copy over the path, once; where there is nothing at the path there is nothing to put it over."""
        if self._copy.exists():
            return True
        if not self.path.is_file():
            return False
        with self._source.open("rb") as reading, self._copy.open("xb") as writing:
            distrusted = trust.against(self._source, reading.fileno()) or trust.against_the_way_to(self._source)
            self.believed = not distrusted
            shutil.copyfileobj(reading, writing)
        self._copy.chmod(ORDINARY)
        mount(str(self._copy), str(self.path), None, MS_BIND)
        if not self.path.samefile(self._copy):
            raise HarnessError(f"{self.path} is not the copy of {self._source} that was put over it")
        if self._access_list != _LABS_LIST:
            place_link(self._access_list, _LABS_LIST, stays=self.path)
        return True


class HostHelper:
    """The machine's own helper as it is, of which nothing is changed."""

    believed = True

    def __init__(self, path: str | None) -> None:
        self.path = Path(path or "")

    def serves(self, uid: int) -> bool:  # noqa: ARG002  (as in the lab)
        """Whatever the helper can do, QEMU is given nothing in its place: that is what is tried."""
        return True

    def give_setuid(self) -> bool:
        """It has the bit, or what is tried with it shows that it has not."""
        return True

    @contextlib.contextmanager
    def without_setuid(self) -> Iterator[None]:
        """Raises Unavailable where the helper has the bit."""
        if _has_setuid(self.path):
            raise Unavailable(f"{self.path} has the setuid bit, and nothing is changed on this host", IN_THE_LAB)
        yield


def _has_setuid(path: Path) -> bool:
    return path.is_file() and bool(path.stat().st_mode & stat.S_ISUID)
