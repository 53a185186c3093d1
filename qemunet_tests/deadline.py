"""Waiting for an event, never for a length of time. The only module that sleeps."""

import time
from collections.abc import Callable
from typing import TypeVar

from qemunet_tests import timeouts
from qemunet_tests.errors import TimedOut

Outcome = TypeVar("Outcome")


class Deadline:
    """A point in time by which something must have happened.

    `seconds` counts from construction and is meant for a machine with nothing else to do. Before it passes on one that
    is busy, it is put off in proportion, unless they are Stretched. `awaiting` completes the sentence "gave up after
    20 s waiting for ...".
    """

    def __init__(self, seconds: float, awaiting: str) -> None:
        self.seconds = seconds
        self.awaiting = awaiting
        self._alone_seconds = 0.0 if isinstance(seconds, timeouts.Stretched) else seconds
        self._start_seconds = time.monotonic()

    @property
    def elapsed_seconds(self) -> float:
        return time.monotonic() - self._start_seconds

    @property
    def remaining_seconds(self) -> float:
        """Never negative, so that it can be handed to `select` and `socket.settimeout` as it is."""
        return 0.0 if self.passed else max(0.0, self.seconds - self.elapsed_seconds)

    @property
    def passed(self) -> bool:
        if self.elapsed_seconds < self.seconds:
            return False
        if self._alone_seconds > 0:
            self.seconds = max(self.seconds, self._alone_seconds * timeouts.crowding())
        return self.elapsed_seconds >= self.seconds

    def check(self) -> None:
        """Raise TimedOut once the deadline has passed."""
        if self.passed:
            raise TimedOut(f"gave up after {self.seconds:.3g} s waiting for {self.awaiting}")

    def wait_until(self, condition: Callable[[], Outcome], interval_seconds: float = 0.02) -> Outcome:
        """Call `condition` until its answer is true, and return that answer. Raises TimedOut."""
        while not (answer := condition()):
            self.check()
            time.sleep(min(interval_seconds, self.remaining_seconds))  # noqa: TID251  (the one place)
        return answer

    def sees(self, condition: Callable[[], object], interval_seconds: float = 0.02) -> bool:
        """Whether `condition` became true in time: for questions whose answer may be no."""
        try:
            self.wait_until(condition, interval_seconds)
        except TimedOut:
            return False
        return True
