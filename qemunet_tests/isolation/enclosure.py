"""Programs that are started outside the lab, where no reaper holds what they start: each ends with all its children."""

import contextlib
import os
import shlex
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol

from qemunet_tests.deadline import Deadline

_END_SECONDS = 5.0
#: Nobody answers a question with more: what writes on and on is ended by SIGXFSZ.
_MOST_BLOCKS = 8192  # of 512 bytes, as ulimit(1) counts
_MOST_BYTES = _MOST_BLOCKS * 512
_SCRIPT = str(Path(__file__).with_name("enclosed.py"))


def words(program: Sequence[str]) -> list[str]:
    """The command line that runs `program` so. It is for a child of this process, which ends it by SIGTERM."""
    return [sys.executable, "-I", "-S", _SCRIPT, str(os.getpid()), *program]


class Running(Protocol):
    """A started process: the part of subprocess.Popen that is used."""

    def poll(self) -> int | None: ...
    def terminate(self) -> None: ...
    def kill(self) -> None: ...
    def wait(self, timeout: float | None = None) -> int: ...


def end(process: Running) -> int:
    """End such a program and all that it started; returns its status."""
    if process.poll() is None:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_END_SECONDS)
    if process.poll() is None:
        process.kill()
    return process.wait()


@dataclass(frozen=True)
class ProgramAnswer:
    """`status` is None where the program did not end in time; 128 and a signal's number where one ended it."""

    status: int | None
    text: str

    @property
    def trouble(self) -> str | None:
        """Why this is no answer; None where it is one."""
        if self.status is None:
            return "does not answer in time"
        if self.status > 128:
            return f"was killed by {_signal(self.status - 128)}"
        return None


class Asked:
    """Programs that answer and end, asked side by side; where one leaves something behind it is ended as well."""

    def __init__(self, questions: Mapping[str, Sequence[str]], environment: Mapping[str, str], both: bool) -> None:
        """`both` takes standard error for an answer, too. Raises OSError."""
        with contextlib.ExitStack() as opened:
            files: dict[str, IO[bytes]] = {name: opened.enter_context(tempfile.TemporaryFile()) for name in questions}
            ended = opened.enter_context(tempfile.TemporaryFile())
            lines = [f"ulimit -f {_MOST_BLOCKS}"]
            status = f">>/proc/self/fd/{ended.fileno()}"
            for number, (name, asked) in enumerate(questions.items()):
                errors = "2>&1" if both else "2>/dev/null"
                here = f">>/proc/self/fd/{files[name].fileno()} {errors}"
                # In a shell of its own, which says nothing of how it ended into the same file.
                lines.append(f"{{ ( exec {shlex.join(asked)} {here} ); echo {number} $? {status}; }} &")
            descriptors = [file.fileno() for file in (*files.values(), ended)]
            self._process = subprocess.Popen(
                words(["sh", "-c", "\n".join([*lines, "wait"])]),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                cwd="/",
                env=dict(environment),
                pass_fds=descriptors,
                start_new_session=True,
            )
            self._files = files
            self._ended = ended
            self._opened = opened.pop_all()

    def answers(self, within_seconds: float) -> dict[str, ProgramAnswer]:
        """Wait for them, no longer than this. Has to be called."""
        deadline = Deadline(within_seconds, "answers")
        try:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(max(deadline.remaining_seconds, 0.0))
        finally:
            end(self._process)
        with self._opened:
            statuses = dict(line.split() for line in _content(self._ended).splitlines())
            return {
                name: ProgramAnswer(_number(statuses.get(str(number))), _content(file))
                for number, (name, file) in enumerate(self._files.items())
            }


def ask(questions: Mapping[str, Sequence[str]], within_seconds: float, **environment: str) -> dict[str, ProgramAnswer]:
    """Ask, and wait. Raises OSError."""
    return Asked(questions, {**os.environ, "LC_ALL": "C", **environment}, both=True).answers(within_seconds)


def _content(file: IO[bytes]) -> str:
    return os.pread(file.fileno(), _MOST_BYTES, 0).decode(errors="replace")


def _number(status: str | None) -> int | None:
    return None if status is None else int(status)


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
