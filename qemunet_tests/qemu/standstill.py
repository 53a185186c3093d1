"""A QEMU whose monitor will never answer: told from one that is slow by what its threads do.

QEMU 11.1 that has started another program, as `-netdev passt` does, may miss a call by which one of its threads has
another go on: soon after its start all of them sleep, for ever. Eight of twenty did so here, and of those with user
networking none.
"""

import contextlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from qemunet_tests.errors import TimedOut

Started = TypeVar("Started")
#: Of five that start another program two may stand still.
ATTEMPTS = 8
#: How Linux calls the thread, cut to 15 characters: proc(5).
MONITORS_THREAD = "IO mon_iothread"
SLEEPING = "S"
#: Whoever has something to do is not asleep at each of so many looks, and has not used no processor between them.
LOOKS, LOOK_SECONDS = 8, 0.25


class StandsStill(TimedOut):
    """No thread of QEMU does anything, and its monitor does not answer: another QEMU may."""

    def __init__(self) -> None:
        super().__init__("QEMU stands still, and its monitor does not answer")


class Standstill:
    """Looks at a process, at most four times a second, whenever it is asked."""

    def __init__(self, pid: int) -> None:
        self._tasks = Path(f"/proc/{pid}/task")
        self._before: object = None
        self._same, self._next_seconds = 0, 0.0

    def seen(self) -> bool:
        """Whether every thread has slept, each time, since the monitor's own thread is there."""
        if time.monotonic() < self._next_seconds:
            return False
        self._next_seconds = time.monotonic() + LOOK_SECONDS
        now = self._look()
        self._same = self._same + 1 if now is not None and now == self._before else 0
        self._before = now
        return self._same >= LOOKS

    def _look(self) -> object:
        """What the threads have run so far; None where one runs, or wants to, or the monitor has none yet."""
        try:
            texts = [(task / "stat").read_text() for task in sorted(self._tasks.iterdir())]
            ran = tuple((task / "schedstat").read_text().split()[0] for task in sorted(self._tasks.iterdir()))
        except (OSError, IndexError):
            return None
        asleep = all(text.rpartition(")")[2].split()[0] == SLEEPING for text in texts)
        return ran if asleep and any(f"({MONITORS_THREAD})" in text for text in texts) else None


def again_where_it_stands_still(start: Callable[[], Started], note: Callable[[str], None]) -> Started:
    """What `start` returns, the first time that it does not end with a QEMU that stands still. Raises StandsStill.

    That one did is a note of the report.
    """
    for _ in range(ATTEMPTS - 1):
        with contextlib.suppress(StandsStill):
            return start()
        note("a QEMU stood still soon after its start, and another one was tried")
    return start()
