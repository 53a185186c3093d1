"""Signals: another handler for a while, and what whoever started us left of them."""

import contextlib
import signal
import threading
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


@contextlib.contextmanager
def put_off(*numbers: signal.Signals) -> Iterator[None]:
    """While it lasts, these signals wait; what came is handled at the end."""
    if threading.current_thread() is not threading.main_thread():
        # Python handles signals in the main thread alone.
        yield
        return
    came: list[int] = []
    try:
        with handled(lambda number, _: came.append(number), *numbers):
            yield
    finally:
        for number in dict.fromkeys(came):
            signal.raise_signal(number)


def undo_inherited() -> None:
    """Hear every signal, and learn how children end, whatever our parent has chosen for itself.

    What is ignored or blocked stays so in a program that is started: one that ignores SIGCHLD has the kernel bury our
    children, and every status that we ask for is 0.
    """
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
