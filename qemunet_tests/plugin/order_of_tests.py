"""In which order tests take their turns."""

from collections.abc import Sequence
from itertools import chain, zip_longest

import pytest


def in_turn(items: Sequence[pytest.Item]) -> list[pytest.Item]:
    """Those marked `lengthy` first, each followed by one that is not; the rest as it was collected.

    A long one that came last would have the other workers wait for it. pytest-xdist hands every worker two tests to
    begin with, neighbours in this order, of which the second waits for the first: two long ones must not be neighbours.
    """
    lengthy = [item for item in items if item.get_closest_marker("lengthy")]
    brief = [item for item in items if not item.get_closest_marker("lengthy")]
    pairs = chain.from_iterable(zip_longest(lengthy, brief[: len(lengthy)]))
    return [*filter(None, pairs), *brief[len(lengthy) :]]
