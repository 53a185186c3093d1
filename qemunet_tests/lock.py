"""One at a time, across processes."""

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from qemunet_tests import trust
from qemunet_tests.deadline import Deadline

#: Whoever may open a file may hold its lock, for ever.
_MODE = 0o600


@contextmanager
def locked(
    file: Path, within_seconds: float, holder: str, on_waiting: Callable[[], None] = lambda: None
) -> Iterator[None]:
    """Hold the lock that `file` stands for; it goes with the process that holds it, however that ends.

    `holder` says who else may have it, for the message; `on_waiting` is called once where somebody has. Raises
    TimedOut, OSError where `file` cannot be made, or is a link, or somebody else's.
    """
    # Nothing is written to it, so that a link that somebody put there in its place does no harm.
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    descriptor = os.open(file, flags, _MODE)
    try:
        if why := trust.against(file, descriptor):
            raise trust.Distrusted(why)
        if os.fstat(descriptor).st_uid == os.geteuid():
            os.fchmod(descriptor, _MODE)
        if not try_lock(descriptor):
            on_waiting()
            Deadline(within_seconds, holder).wait_until(lambda: try_lock(descriptor))
        yield
    finally:
        os.close(descriptor)


def try_lock(descriptor: int) -> bool:
    """Whether the lock of an open file or folder is ours now; flock(2)."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
