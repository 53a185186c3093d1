"""In which order tests take their turns."""

from collections.abc import Mapping, Sequence
from itertools import chain, zip_longest

import pytest

#: A test that takes so long is begun early. One that is marked and was never measured counts as twice as long.
LENGTHY_SECONDS = 5.0


def in_turn(items: Sequence[pytest.Item], seconds: Mapping[str, float]) -> list[pytest.Item]:
    """Lengthy tests first, the longest before all, each followed by one that is not; the rest as it was collected.

    `seconds` is what tests took the last time, by their node ids. A long one that came last would have the other
    workers wait for it. pytest-xdist hands every worker two tests to begin with, neighbours in this order, of which the
    second waits for the first: two long ones must not be neighbours.
    """
    takes = {item: _expected_seconds(item, seconds) for item in items}
    lengthy = sorted((item for item in items if takes[item] >= LENGTHY_SECONDS), key=lambda item: -takes[item])
    brief = [item for item in items if takes[item] < LENGTHY_SECONDS]
    pairs = chain.from_iterable(zip_longest(lengthy, brief[: len(lengthy)]))
    return [*filter(None, pairs), *brief[len(lengthy) :]]


def _expected_seconds(item: pytest.Item, seconds: Mapping[str, float]) -> float:
    unknown = 2 * LENGTHY_SECONDS if item.get_closest_marker("lengthy") else 0.0
    return seconds.get(item.nodeid, unknown)
