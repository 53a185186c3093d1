"""`run --pause-at-failure`: a test that fails leaves its guests alive, and whoever runs it can talk to them."""

import contextlib
import os
import shlex
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, TextIO

from rich.console import Console

from qemunet_tests.commands.fitted_lines import fitted
from qemunet_tests.errors import HarnessError

if TYPE_CHECKING:
    from qemunet_tests.guest.guest import Guest

#: How long a command that is typed may take, under KVM.
COMMAND_SECONDS = 60.0
PROMPT = "guest> "


@contextlib.contextmanager
def own_input() -> Iterator[TextIO]:
    """Today's standard input, whatever happens to that later: pytest takes it away from tests."""
    with os.fdopen(os.dup(0), errors="replace") as typed:
        yield typed


class Pause:
    """Hands over the guests of a failed test: what is `typed`, a line at a time, is a command for the first of them."""

    def __init__(self, typed: TextIO, shown: Console) -> None:
        self._typed = typed
        self._shown = shown

    def at(self, failed: str, guests: Sequence["Guest"]) -> None:
        """Return when an empty line was typed, or nothing more will be. `failed` says what was seen."""
        self._tell(f"paused: {failed}")
        self._tell(_who_lives(guests))
        self._tell("the lab that they are in, from another terminal:")
        # To be copied whole.
        self._say(f"  {way_in(os.getpid(), os.geteuid())}")
        for line in self._lines():
            self._answer(line, guests)
        self._say("going on")

    def _lines(self) -> Iterator[str]:
        while True:
            self._shown.print(PROMPT, end="", highlight=False, markup=False)
            self._shown.file.flush()
            line = self._typed.readline()
            if not line.strip():
                if not line:
                    # Ctrl-D leaves the cursor behind the prompt.
                    self._shown.print()
                return
            yield line.strip()

    def _answer(self, line: str, guests: Sequence["Guest"]) -> None:
        try:
            guest, command = _addressed(line, guests)
            done = guest.run(command, COMMAND_SECONDS)
        except HarnessError as refused:
            self._say(str(refused))
            return
        for said in (done.stdout, done.stderr):
            if said:
                self._say(said.decode(errors="backslashreplace").rstrip("\n"))
        if done.status:
            self._say(f"status {done.status}")

    def _tell(self, sentence: str) -> None:
        for line in fitted(sentence, self._shown.width if self._shown.is_terminal else None):
            self._say(line)

    def _say(self, text: str) -> None:
        self._shown.print(text, soft_wrap=True, highlight=False, markup=False)


def _who_lives(guests: Sequence["Guest"]) -> str:
    if not guests:
        return "no guest is alive: a peer played it, or it did not come up; an empty line goes on"
    others = [f"@{number} COMMAND asks {guest.name}" for number, guest in enumerate(guests[1:], 2)]
    first = f"{guests[0].name} is alive: a line is a shell command for it, an empty one goes on"
    return "; ".join([first, *others])


def _addressed(line: str, guests: Sequence["Guest"]) -> tuple["Guest", str]:
    """Which guest a line is for, and the command in it. Raises HarnessError where there is no such guest."""
    number, command = 1, line
    if line.startswith("@"):
        word, _, command = line[1:].partition(" ")
        number = int(word) if word.isdecimal() else 0
    if not 1 <= number <= len(guests) or not command:
        raise HarnessError(f"no guest is alive that {line!r} could be for")
    return guests[number - 1], command


def way_in(pid: int, user: int) -> str:
    """What a person types to be where the lab's host is: with root's namespaces, or an ordinary user's around them."""
    around = [] if user == 0 else ["--user", "--preserve-credentials"]
    return shlex.join(["nsenter", "--target", str(pid), *around, "--net", "--mount"])
