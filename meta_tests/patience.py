"""Limits of time in these tests, which have to pass on a busy machine, too."""

from qemunet_tests import timeouts

TIMES = 10


def limit(seconds: float) -> float:
    """What ends a test that hangs: ten times what is enough alone."""
    return TIMES * seconds


def soon(seconds: float) -> float:
    """By when something has to be over that takes less than `seconds` alone, on this machine as it is now."""
    return 2 * seconds * timeouts.crowding()
