"""The caretaker: what the keeper is, for a user who may make no PID namespace on his own machine.

`python -m qemunet_tests.harness.caretaker CONTROLLER-PID FOLDER` waits until its owner (its parent) or the run's
controller is gone, ends every program that works in FOLDER, and removes it. The programs themselves ask to die with
the owner, but one that changed its user on the way is not heard.
"""

import contextlib
import os
import select
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path


class Caretaker:
    """Watches over the programs of one run, and over the folder that the run writes into."""

    def __init__(self, controller_pid: int, folder: Path) -> None:
        self._folder = folder
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__, str(controller_pid), str(folder)],
            stdin=subprocess.PIPE,
            start_new_session=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def ended(self) -> bool:
        """Whether nobody takes care any more."""
        return self._process.poll() is not None

    def take_in(self) -> None:
        """Nothing has to be done for what the calling thread starts."""

    def guarded(self, words: Sequence[str]) -> list[str]:
        """The command line of a program that dies with the thread that starts it."""
        return ["setpriv", "--pdeathsig", "KILL", "--", *words]

    def keeps(self) -> list[int]:
        """The processes that work in the folder."""
        return _at_work_in(self._folder)

    def close(self) -> None:
        """End every program that works in the folder, and remove it."""
        self._process.communicate()


def _at_work_in(folder: Path) -> list[int]:
    """Those that have the folder in their command line, as every QEMU of a run has; not the caretaker itself."""
    found = []
    for process in (entry for entry in Path("/proc").iterdir() if entry.name.isdigit()):
        # Those that ended meanwhile, or are nobody's.
        with contextlib.suppress(OSError):
            words = (process / "cmdline").read_bytes()
            if f"{folder}/".encode() in words and int(process.name) != os.getpid():
                found.append(int(process.name))
    return found


def _take_care(controller_pid: int, folder: Path) -> None:
    # A process that is gone already cannot be watched: then there is only the clearing up.
    with contextlib.suppress(ProcessLookupError):
        watched = [os.pidfd_open(os.getppid()), os.pidfd_open(controller_pid)]
        # The owner closes our standard input when it is done.
        select.select([*watched, sys.stdin], [], [])
    for pid in _at_work_in(folder):
        with contextlib.suppress(OSError):
            os.kill(pid, signal.SIGKILL)
    shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _take_care(int(sys.argv[1]), Path(sys.argv[2]))
