"""What reapers have in common: each is a process that watches a run from outside of it.

It outlives its owner, which is its parent, for as long as there is something to clear up behind him.
"""

import os
import signal
import subprocess
from typing import Any

from qemunet_tests.isolation import own_python


class Reaper:
    """The owner's side: a Python module that runs by itself, deaf to the terminal."""

    def __init__(self, module: str, *words: str, **pipes: Any) -> None:
        self._process = subprocess.Popen(
            own_python.words(module, *words),
            start_new_session=True,
            **pipes,
        )

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def ended(self) -> bool:
        """Whether nobody watches any more."""
        return self._process.poll() is not None


def on_watch(controller_pid: int) -> tuple[int, int] | None:
    """The reaper's side: pidfds of its owner and of the run's controller; None where one is gone already."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        return os.pidfd_open(os.getppid()), os.pidfd_open(controller_pid)
    except ProcessLookupError:
        return None
