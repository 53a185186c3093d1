"""Ctrl-C in a worker: it ends the test once, and then lets the fixtures clean up."""

import signal
import threading
from types import FrameType


def interrupt_only_once() -> None:
    """A second SIGINT changes nothing in this process.

    A terminal sends one, and pytest-xdist another a little later, in the midst of the fixtures' cleaning up.
    """
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, _interrupt)


def _interrupt(signal_number: int, frame: FrameType | None) -> None:
    del frame
    signal.signal(signal_number, signal.SIG_IGN)
    raise KeyboardInterrupt
