"""In which order tests take their turns."""

from collections.abc import Mapping, Sequence
from itertools import islice

import pytest

#: A test that takes so long is begun early. One that is marked and was never measured counts as twice as long.
LENGTHY_SECONDS = 5.0


def in_turn(items: Sequence[pytest.Item], seconds: Mapping[str, float]) -> list[pytest.Item]:
    """The longest test before all, the other lengthy ones among the first half of the rest, in the order of collection.

    `seconds` is what tests took the last time, by their node ids. A long one that came last would have the other
    workers wait for it; and long ones wait most of their time, so that with all of them at once the CPUs would.
    pytest-xdist hands every worker two tests to begin with, neighbours in this order, of which the second waits for the
    first: two long ones must not be neighbours.
    """
    takes = {item: _expected_seconds(item, seconds) for item in items}
    lengthy = sorted((item for item in items if takes[item] >= LENGTHY_SECONDS), key=lambda item: -takes[item])
    brief = [item for item in items if takes[item] < LENGTHY_SECONDS]
    apart = max(len(brief) // (2 * len(lengthy)), 1) if lengthy else 0
    waiting, turns = iter(brief), list[pytest.Item]()
    for item in lengthy:
        turns += [item, *islice(waiting, apart)]
    return [*turns, *waiting]


def _expected_seconds(item: pytest.Item, seconds: Mapping[str, float]) -> float:
    unknown = 2 * LENGTHY_SECONDS if item.get_closest_marker("lengthy") else 0.0
    return seconds.get(item.nodeid, unknown)
