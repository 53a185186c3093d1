"""From how one phase of a test ended to what that says about the claim."""

import pytest

from qemunet_tests.errors import HarnessError, Unavailable
from qemunet_tests.host.obstacle import Obstacle
from qemunet_tests.report.verdict_of_test import Verdict

_LONGEST_REASON = 600


def judge(error: BaseException, phase: str) -> tuple[Verdict, Obstacle]:
    """What an error says, and why. `phase` is setup, call or teardown."""
    if isinstance(error, pytest.skip.Exception) and phase != "teardown":
        return Verdict.UNAVAILABLE, _skipped(error)
    if _is_assertion(error, phase):
        return Verdict.BROKEN, Obstacle(_assertion_line(error))
    return Verdict.INCONCLUSIVE, Obstacle(one_line(error))


def _skipped(error: BaseException) -> Obstacle:
    cause = error.__cause__
    if isinstance(cause, Unavailable):
        return Obstacle(cause.reason, cause.remedy)
    return Obstacle(_first_line(str(error)) or "skipped without a reason")


def _is_assertion(error: BaseException, phase: str) -> bool:
    """`pytest.fail` and an exception that `pytest.raises` missed are assertions by another name.

    In setup and teardown pytest itself raises the same type for broken fixtures.
    """
    if isinstance(error, BaseExceptionGroup):
        return all(_is_assertion(each, phase) for each in error.exceptions)
    return isinstance(error, AssertionError) or (phase == "call" and isinstance(error, pytest.fail.Exception))


def _assertion_line(error: BaseException) -> str:
    """The first line of the assertion's message."""
    if isinstance(error, BaseExceptionGroup):
        return _assertion_line(error.exceptions[0])
    return _first_line(str(error)) or "the assertion came without a message"


def one_line(error: BaseException) -> str:
    """What went wrong, without a traceback. Errors of ours speak in sentences; others need their type named."""
    if isinstance(error, BaseExceptionGroup):
        return shortened("; ".join(one_line(each) for each in error.exceptions))
    if isinstance(error, HarnessError | Unavailable):
        return shortened("; ".join(line.strip() for line in str(error).splitlines() if line.strip()))
    message = _first_line(str(error))
    return f"{type(error).__name__}: {message}" if message else type(error).__name__


def _first_line(text: str) -> str:
    return shortened(next((line.strip() for line in text.splitlines() if line.strip()), ""))


def shortened(text: str) -> str:
    """As much of a reason as is told."""
    return text if len(text) <= _LONGEST_REASON else f"{text[: _LONGEST_REASON - 4]} ..."
