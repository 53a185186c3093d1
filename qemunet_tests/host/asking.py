"""Asking a program: of this machine, or of whichever station the reader is to look at."""

import json
import os
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

#: Where administrators' programs are, whatever a user's PATH is.
PROGRAM_FOLDERS = "/usr/local/sbin:/usr/sbin:/sbin:/usr/bin"
#: What a shell says of a program that is not there.
NOT_FOUND = 127
_ANSWER_SECONDS = 2.0


@dataclass(frozen=True)
class Completed:
    """What a program left behind: its exit status and both streams, byte for byte."""

    status: int
    stdout: bytes
    stderr: bytes

    @property
    def succeeded(self) -> bool:
        return self.status == 0

    @property
    def text(self) -> str:
        """Standard output as text without surrounding blanks."""
        return self.stdout.decode(errors="replace").strip()

    @property
    def complaint(self) -> str:
        """Standard error as text without surrounding blanks."""
        return self.stderr.decode(errors="replace").strip()


#: Runs a program, by its words, where it is to be asked. Any status is an answer.
Ask = Callable[[Sequence[str]], Completed]


def ask_here(words: Sequence[str], within_seconds: float = _ANSWER_SECONDS) -> Completed:
    """Ask in the network namespace that the caller stands in. One that is missing or late answers with NOT_FOUND."""
    environment = {**os.environ, "PATH": PROGRAM_FOLDERS, "LC_ALL": "C"}
    quiet = subprocess.DEVNULL
    try:
        done = subprocess.run(
            words, env=environment, stdin=quiet, capture_output=True, check=False, timeout=within_seconds
        )
    except (OSError, subprocess.TimeoutExpired) as failed:
        return Completed(NOT_FOUND, b"", str(failed).encode())
    return Completed(done.returncode, done.stdout, done.stderr)


def listed(ask: Ask, *words: str) -> list[dict[str, Any]]:
    """What a program of iproute2 says in JSON; nothing where it does not."""
    try:
        found: list[dict[str, Any]] = json.loads(ask(words).stdout or b"[]")
    except ValueError:
        return []
    # Older releases print an empty object for what does not fit the question.
    return [each for each in found if each]
