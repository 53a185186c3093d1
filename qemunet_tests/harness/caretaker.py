"""The caretaker: what the keeper is, for a user who may make no PID namespace on his own machine.

Run as a module with CONTROLLER-PID FOLDER it waits until its owner (its parent) or the run's
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

from qemunet_tests.harness.deadline import Deadline
from qemunet_tests.harness.watchman import Watchman, on_watch

#: A program whose parent was gone before it asked to go with it is told nothing; so it looks for itself.
UNLESS_ORPHANED = '[ "$PPID" = {owner} ] && exec "$@"'
CLEARING_SECONDS = 10.0


class Caretaker(Watchman):
    """Watches over the programs of one run, and over the folder that the run writes into."""

    def __init__(self, controller_pid: int, folder: Path) -> None:
        self._folder = folder
        super().__init__(__name__, str(controller_pid), str(folder), stdin=subprocess.PIPE)

    def take_in(self) -> None:
        """Nothing has to be done for what the calling thread starts."""

    def guarded(self, words: Sequence[str]) -> list[str]:
        """The command line of a program that dies with the thread that starts it."""
        check = UNLESS_ORPHANED.format(owner=os.getpid())
        return ["setpriv", "--pdeathsig", "KILL", "--", "sh", "-c", check, "sh", *words]

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
    watched = on_watch(controller_pid)
    # Where one is gone already there is only the clearing up.
    if watched is not None:
        # The owner closes our standard input when it is done.
        select.select([*watched, sys.stdin], [], [])
    # More than once: what is being started just now is not known by its command line yet.
    Deadline(CLEARING_SECONDS, "the run's programs to end").sees(lambda: not _end_all_in(folder))
    shutil.rmtree(folder, ignore_errors=True)


def _end_all_in(folder: Path) -> list[int]:
    """End what works in the folder, and say what that was."""
    found = _at_work_in(folder)
    for pid in found:
        with contextlib.suppress(OSError):
            os.kill(pid, signal.SIGKILL)
    return found


if __name__ == "__main__":
    _take_care(int(sys.argv[1]), Path(sys.argv[2]))
