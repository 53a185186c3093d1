"""Whether the host's clock was set while something went on.

Nothing of ours waits by it; but leases end by it, captures are dated by it, and so are libraries' own patience and a
guest's clock. Sources: time(7), clock_gettime(2).
"""

import time

#: What a clock that is only slewed (adjtime(3)) does not gain in an hour.
_TOLERATED_SECONDS = 2.0
_UNITS = (("h", 3600), ("min", 60), ("s", 1))


class WallClock:
    """CLOCK_REALTIME beside CLOCK_BOOTTIME, which nobody can set."""

    def __init__(self) -> None:
        self._ahead_seconds = _ahead_seconds()

    def change(self) -> str | None:
        """What was done to the clock since, for a sentence; None where it only ran."""
        seconds = _ahead_seconds() - self._ahead_seconds
        if abs(seconds) <= _TOLERATED_SECONDS:
            return None
        return f"was put {'forward' if seconds > 0 else 'back'} by {_spelled(round(abs(seconds)))}"


def _ahead_seconds() -> float:
    return time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)


def _spelled(seconds: int) -> str:
    unit, length = next((unit, length) for unit, length in _UNITS if seconds >= length)
    return f"{seconds / length:.3g} {unit}"
