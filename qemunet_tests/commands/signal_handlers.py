"""Signals: another handler for a while, and what whoever started us left of them."""

import contextlib
import signal
from collections.abc import Callable, Iterator
from types import FrameType


@contextlib.contextmanager
def handled(handler: Callable[[int, FrameType | None], object], *numbers: signal.Signals) -> Iterator[None]:
    """While it lasts, these signals are handled so."""
    before = {number: signal.signal(number, handler) for number in numbers}
    try:
        yield
    finally:
        for number, earlier in before.items():
            signal.signal(number, earlier)


def undo_inherited() -> None:
    """Hear every signal, and learn how children end, whatever our parent has chosen for itself.

    What is ignored or blocked stays so in a program that is started: one that ignores SIGCHLD has the kernel bury our
    children, and every status that we ask for is 0.
    """
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
