"""A run that is told to end ends in order, a second time at once, and leaves nothing either way."""

import os
import signal

import pytest

from meta_tests.isolation.leftovers import Run
from meta_tests.isolation.runs import START_SECONDS, Start, by_everybody, by_root_first, standing
from meta_tests.patience import limit
from qemunet_tests.deadline import Deadline

pytest_plugins = "meta_tests.isolation.runs"


@by_root_first
@pytest.mark.parametrize(
    ("number", "workers"),
    [
        pytest.param(signal.SIGINT, 1, id="SIGINT-alone"),
        pytest.param(signal.SIGINT, 2, id="SIGINT-with-workers", marks=pytest.mark.slow),
        pytest.param(signal.SIGTERM, 1, id="SIGTERM-alone", marks=pytest.mark.slow),
        pytest.param(signal.SIGTERM, 2, id="SIGTERM-with-workers", marks=pytest.mark.slow),
    ],
)
def test_pytest_is_told_to_end(start: Start, number: signal.Signals, workers: int) -> None:
    run = standing(start, workers)
    run.process.send_signal(number)
    ended = run.process.wait(limit(20))
    assert ended == (pytest.ExitCode.INTERRUPTED if number == signal.SIGINT else -number)
    assert run.leaves_nothing(), run.leftovers()


@pytest.mark.slow
@by_everybody
def test_ctrl_c_reaches_everything_that_a_terminal_knows(start: Start) -> None:
    """A terminal sends it to the whole process group, guests and servers included."""
    run = standing(start, 2)
    os.killpg(run.process.pid, signal.SIGINT)
    assert run.process.wait(limit(20)) == pytest.ExitCode.INTERRUPTED
    assert run.leaves_nothing(), run.leftovers()


# `qemunet run`, which answers signals itself


def running(start: Start) -> Run:
    """`qemunet run` with two workers, at a moment when a guest is alive."""
    run = start("qemunet_tests", "run", "bridge/lease-*", "user/d*", "user/icmp-*", "-n", "2")

    def has_guest() -> bool:
        assert run.process.poll() is None, run.output
        return any(process.is_guest for process in run.processes())

    Deadline(START_SECONDS, "a guest").wait_until(has_guest, interval_seconds=0.1)
    run.note()
    return run


@by_root_first
@pytest.mark.parametrize(
    "number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)], ids=["SIGINT", "SIGTERM"]
)
def test_a_run_is_interrupted_once(start: Start, number: signal.Signals) -> None:
    run = running(start)
    run.process.send_signal(number)
    assert run.process.wait(limit(30)) == 3, run.output
    assert run.leaves_nothing(), run.leftovers()
    assert "interrupted: ending the guests" in run.output
    assert "Traceback" not in run.output


@by_root_first
def test_a_run_is_interrupted_twice(start: Start) -> None:
    run = running(start)
    run.process.send_signal(signal.SIGINT)
    Deadline(5, "the first to be heard").wait_until(
        lambda: "interrupted" in run.output or run.process.poll() is not None
    )
    run.process.send_signal(signal.SIGINT)
    assert run.process.wait(limit(5)) in (1, 3), run.output
    assert run.leaves_nothing(), run.leftovers()
    assert "Traceback" not in run.output


@pytest.mark.slow
@by_everybody
def test_a_run_is_killed(start: Start) -> None:
    run = running(start)
    run.process.kill()
    run.process.wait()
    assert run.leaves_nothing(), run.leftovers()
