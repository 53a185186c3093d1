"""Waiting: for an event, never longer than allowed, and saying what was awaited."""

import time
from collections.abc import Callable

import pytest

from qemunet_tests import timeouts
from qemunet_tests.deadline import Deadline
from qemunet_tests.errors import HarnessError, TimedOut


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Times are those of a machine with nothing else to do, whatever this one does."""
    monkeypatch.setattr(timeouts, "crowding", lambda: 1.0)


def true_after(seconds: float) -> Callable[[], bool]:
    """A condition that becomes true once, and when it has."""
    begun = time.monotonic()
    return lambda: time.monotonic() - begun >= seconds


def test_a_missed_deadline_says_what_was_awaited_and_how_long() -> None:
    with pytest.raises(TimedOut, match=r"^gave up after 0\.05 s waiting for the cows to come home$"):
        Deadline(0.05, "the cows to come home").wait_until(lambda: False)


def test_a_missed_deadline_is_inconclusive() -> None:
    assert issubclass(TimedOut, HarnessError)
    assert not issubclass(TimedOut, AssertionError | TimeoutError)


def test_it_waits_no_longer_than_allowed() -> None:
    deadline = Deadline(0.1, "nothing")
    assert not deadline.sees(lambda: False, interval_seconds=30)
    assert 0.1 <= deadline.elapsed_seconds < 1


def test_it_returns_what_the_condition_answered() -> None:
    answers = iter([None, "", [], "here"])
    assert Deadline(5, "an answer").wait_until(lambda: next(answers), interval_seconds=0) == "here"


def test_what_becomes_true_at_the_last_moment_counts() -> None:
    # Nobody looks between 0 and 0.3 s, so only a look after the last sleep can see it.
    Deadline(0.3, "the last moment").wait_until(true_after(0.2), interval_seconds=30)


def test_what_is_true_already_needs_no_time() -> None:
    assert Deadline(0, "what is there").wait_until(lambda: "here") == "here"


def test_a_question_whose_answer_is_no() -> None:
    assert Deadline(0.05, "nothing").sees(lambda: False) is False
    assert Deadline(5, "something").sees(lambda: "yes") is True


def test_an_error_of_the_condition_is_not_taken_for_no() -> None:
    with pytest.raises(ZeroDivisionError):
        Deadline(5, "a number").sees(lambda: 1 / 0)


def test_what_remains_is_never_negative() -> None:
    deadline = Deadline(0, "nothing")
    assert deadline.passed
    assert deadline.remaining_seconds == 0
    with pytest.raises(TimedOut):
        deadline.check()
