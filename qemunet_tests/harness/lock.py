"""One at a time, across processes."""

import fcntl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from qemunet_tests.harness.deadline import Deadline


@contextmanager
def locked(
    file: Path, within_seconds: float, holder: str, on_waiting: Callable[[], None] = lambda: None
) -> Iterator[None]:
    """Hold the lock that `file` stands for; it goes with the process that holds it, however that ends.

    `holder` says who else may have it, for the message; `on_waiting` is called once where somebody has. Raises
    TimedOut, OSError where `file` cannot be made.
    """
    with file.open("w") as lock:
        if not _try_lock(lock.fileno()):
            on_waiting()
            Deadline(within_seconds, holder).wait_until(lambda: _try_lock(lock.fileno()))
        yield


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
