"""How long a run will still take, by what each test took last time. Kept in this user's cache."""

import json
import math
import time
from collections.abc import Callable, Iterable, Mapping

from qemunet_tests import cache, trust
from qemunet_tests.isolation.folder import opened

FILE = "seconds.json"
SCHEMA = 1
_MOST_BYTES = 1 << 20
_MOST_TESTS = 4000
#: So many seconds of tests say as much about today's pace as the last run does.
_TRUST_SECONDS = 10.0


class TimeLeft:
    """`before` has the seconds of each test in the last run; `workers` tests run side by side."""

    def __init__(self, before: Mapping[str, float], workers: int, now: Callable[[], float] = time.monotonic) -> None:
        self._before = before
        self._workers = max(workers, 1)
        self._now = now
        self._waiting: dict[str, float] = {}
        self._began: dict[str, float] = {}
        self._took_seconds = self._planned_seconds = _TRUST_SECONDS

    def expect(self, tests: Iterable[str]) -> None:
        """These tests will run. One that is new is taken for an average one."""
        named = list(tests)
        known = [self._before[test] for test in named if test in self._before]
        average = sum(known) / len(known) if known else 0.0
        self._waiting = {test: self._before.get(test, average) for test in named} if known else {}

    def started(self, test: str) -> None:
        """A test has begun."""
        self._began[test] = self._now()

    def finished(self, test: str) -> None:
        """A test has ended."""
        began, planned = self._began.pop(test, None), self._waiting.pop(test, None)
        if began is not None and planned is not None:
            self._took_seconds += self._now() - began
            self._planned_seconds += planned

    def seconds(self) -> float | None:
        """Until the last test has ended, at today's pace; None where no earlier run says anything."""
        if not self._waiting:
            return None
        pace = self._took_seconds / self._planned_seconds
        rest = [max(planned * pace - self._ran(test), 0.0) for test, planned in self._waiting.items()]
        return max(sum(rest) / self._workers, *rest, 0.0)

    def _ran(self, test: str) -> float:
        return self._now() - self._began[test] if test in self._began else 0.0


def in_words(seconds: float) -> str:
    """As exactly as it is known: `40 s`, `3 min`."""
    if seconds < 55:
        return f"{max(round(seconds / 5) * 5, 5)} s"
    return f"{max(round(seconds / 60), 1)} min"


def recall() -> dict[str, float]:
    """The seconds of each test in the last run of it; empty where that is not known."""
    try:
        with trust.opened(cache.cache_root() / FILE) as stream:
            said = json.loads(stream.read(_MOST_BYTES))
        if said["schema"] != SCHEMA:
            return {}
        took = {str(test): max(float(seconds), 0.0) for test, seconds in said["tests"].items()}
        # JSON as Python reads it has numbers that are none.
        return took if all(map(math.isfinite, took.values())) else {}
    except (OSError, ValueError, OverflowError, KeyError, TypeError, AttributeError, RecursionError):
        return {}


def keep(took: Mapping[str, float]) -> None:
    """Keep the seconds for the next run. Without a place for them it tells no time, which is no reason to fail."""
    if not took:
        return
    # The latest stand last; what has not run for long falls off.
    everything = {test: seconds for test, seconds in recall().items() if test not in took} | dict(took)
    kept = {test: round(seconds, 2) for test, seconds in [*everything.items()][-_MOST_TESTS:]}
    try:
        with opened(cache.make()) as folder:
            folder.write_whole(FILE, json.dumps({"schema": SCHEMA, "tests": kept}, indent=1).encode())
    except OSError:
        return
