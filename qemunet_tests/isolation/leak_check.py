"""What a run has under way at a moment, so that what a test started and did not end can be told."""

import contextlib
import os
import shutil
import signal
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from qemunet_tests.deadline import Deadline
from qemunet_tests.host import process_table
from qemunet_tests.isolation.namespaces import scratch
from qemunet_tests.isolation.processes import Spawner

#: A program that was told to end, and its children, are given so long.
GRACE_SECONDS = 2.0
#: Of what lies in the run's scratch space, only this belongs to one test. Images and templates serve all.
OF_ONE_TEST = ("guest-", "peer-", "literal-", "attempt-")


@dataclass(frozen=True)
class RunningProgram:
    """A program that runs. A later one of the same number was started at another tick of the clock."""

    pid: int
    started_ticks: int

    def __str__(self) -> str:
        return f"process {self.pid} ({_command_of(self.pid)[:100]})"

    def end(self) -> None:
        """Kill it, if it is still there."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)


@dataclass(frozen=True)
class Leftover:
    """A file, folder or socket in the run's scratch space."""

    path: Path

    def __str__(self) -> str:
        kind = "socket" if self.path.is_socket() else "folder" if self.path.is_dir() else "file"
        return f"the {kind} {self.path.name}"

    def end(self) -> None:
        """Remove it with all that is in it."""
        if self.path.is_dir() and not self.path.is_symlink():
            shutil.rmtree(self.path, ignore_errors=True)
        else:
            self.path.unlink(missing_ok=True)


Thing = RunningProgram | Leftover


class LeakCheck:
    """Tells what is there from what was there before, or is meant to stay."""

    def __init__(self, spawner: Spawner) -> None:
        self._spawner = spawner
        self._begun_with = self.present()
        self._accepted = set(self._begun_with)

    def present(self) -> set[Thing]:
        """Every program that is kept, and every entry of the scratch space that belongs to one test."""
        programs = (_program(pid) for pid in self._spawner.reaper.keeps())
        entries = (path for path in scratch().iterdir() if path.is_socket() or path.name.startswith(OF_ONE_TEST))
        return {program for program in programs if program} | {Leftover(path) for path in entries}

    def accept(self, things: Iterable[Thing]) -> None:
        """These are meant to outlive the test."""
        self._accepted.update(things)

    def left(self) -> list[Thing]:
        """What is there without having been accepted, after a moment in which it could have ended."""
        return self._new(self._accepted)

    def left_at_the_end(self) -> list[Thing]:
        """What is there that was not there at the beginning, accepted or not."""
        return self._new(self._begun_with)

    def _new(self, known: set[Thing]) -> list[Thing]:
        ending = Deadline(GRACE_SECONDS, "what was started to end")
        ending.sees(lambda: not self.present() - known)
        return sorted(self.present() - known, key=str)


def _program(pid: int) -> RunningProgram | None:
    """None for a process that is gone, or that has ended and is waited for by nobody yet."""
    stat = process_table.stat(pid)
    return RunningProgram(pid, stat.started_ticks) if stat and stat.state != "Z" else None


def _command_of(pid: int) -> str:
    return " ".join(process_table.words(pid)) or "gone meanwhile"
