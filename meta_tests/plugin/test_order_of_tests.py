"""Which test begins when."""

import pytest

from qemunet_tests.plugin.order_of_tests import in_turn

TESTS = """
import pytest

def test_first(): pass
def test_second(): pass
def test_third(): pass
@pytest.mark.lengthy
def test_marked(): pass
"""


def names(pytester: pytest.Pytester, **took_seconds: float) -> list[str]:
    items = pytester.getitems(TESTS)
    seconds = {item.nodeid: took_seconds[item.name] for item in items if item.name in took_seconds}
    return [item.name for item in in_turn(items, seconds)]


def test_of_unknown_ones_the_marked_begin(pytester: pytest.Pytester) -> None:
    assert names(pytester) == ["test_marked", "test_first", "test_second", "test_third"]


def test_the_longest_begins_as_it_was_measured(pytester: pytest.Pytester) -> None:
    """With a brief one between two long ones."""
    assert names(pytester, test_second=60.0, test_third=1.0) == [
        "test_second",
        "test_first",
        "test_marked",
        "test_third",
    ]


def test_a_marked_one_that_was_quick_is_brief(pytester: pytest.Pytester) -> None:
    assert names(pytester, test_marked=0.1) == ["test_first", "test_second", "test_third", "test_marked"]
