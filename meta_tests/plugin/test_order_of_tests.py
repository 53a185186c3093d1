"""Which test begins when."""

import pytest

from qemunet_tests.plugin.order_of_tests import in_turn

pytest_plugins = "pytester"

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


def test_long_ones_do_not_all_wait_at_once(pytester: pytest.Pytester) -> None:
    """They are spread over the first half of the others."""
    many = "\n".join(f"def test_{number}(): pass" for number in range(12))
    items = pytester.getitems(many)
    seconds = {item.nodeid: 10.0 + item.name.count("1") for item in items if item.name in ("test_10", "test_11")}
    order = [item.name for item in in_turn(items, seconds)]
    assert (order[0], order.index("test_10")) == ("test_11", 3)
    assert [name for name in order if name not in ("test_10", "test_11")] == [f"test_{number}" for number in range(10)]


def test_a_marked_one_that_was_quick_is_brief(pytester: pytest.Pytester) -> None:
    assert names(pytester, test_marked=0.1) == ["test_first", "test_second", "test_third", "test_marked"]
