"""Types what comes from a pipe on a guest's console, as a person would."""

import contextlib
import os
import re
import select
import socket
from collections.abc import Callable

from qemunet_tests.deadline import Deadline
from qemunet_tests.errors import TimedOut

#: For the rest of a command that goes over several lines.
SECOND_PROMPT = re.compile(rb"[\r\n]> $")
END_OF_INPUT = b"\x04"
#: The guest's shell asks its terminal where the cursor is. A terminal would answer to whoever reads its keys, and
#: that is not us.
WHERE_IS_THE_CURSOR = b"\x1b[6n"
#: A shell of the lines' own, because init starts another at once where the one on the console is left, and with it the
#: status would be gone. Its end is told by what nobody else prints; what was typed ahead is then taken by nobody.
OWN_SHELL = rb"""PS1="$PS1" PS2="$PS2" sh; printf '\033_%d;' $?; cat >/dev/null""" + b"\n"
HOW_IT_ENDED = re.compile(rb"\x1b_(\d{1,3});")
#: What may become one of the two.
BEGUN = re.compile(rb"\x1b(?:\[6?|_\d{0,3})?$")
#: Longer than the guest itself waits for its leases.
LEASE_SECONDS = 15.0
#: QEMU's own keys for ending the guest.
LEAVE = b"\x01x"

CHUNK_BYTES = 65536


class PipedTyping:
    """Types a line when the shell asks for one, because a serial line that nobody reads loses characters.

    A program that has said nothing for `patience_seconds` may be reading the console itself: it gets the next line
    unasked. `prompt` is what the shell says when it takes a line. `source` is a file descriptor, read to its end;
    `first` is typed before it; `show` is called with all that the guest writes.
    """

    def __init__(
        self,
        console: socket.socket,
        source: int,
        show: Callable[[bytes], object],
        patience_seconds: float,
        prompt: bytes,
        first: bytes = b"",
    ) -> None:
        self._console = console
        self._source = source
        self._show = show
        self._patience_seconds = patience_seconds
        self._prompt = prompt
        self._unread = first
        self._source_ended = False
        self._tail = b""
        self._prompted = False
        self._withheld = b""
        self._unasked = False
        self._guest_ended = False
        self._status: int | None = None
        self._at_line_start = True

    def wait_for_shell(self, within_seconds: float, await_leases: str) -> None:
        """Wait until the guest takes commands, and for the end of the command `await_leases`; or for QEMU's end.

        What is typed then goes to a shell of its own. Raises TimedOut. A person's first
        command comes late enough for the network to be there, one from a pipe does not.
        """
        self._wait_for_prompt(Deadline(within_seconds, "the guest's shell prompt"))
        show, self._show = self._show, _ignore
        for line in (await_leases.encode() + b"\n", OWN_SHELL):
            self._type(line)
            self._wait_for_prompt(Deadline(LEASE_SECONDS, "the guest's shell prompt"))
        self._show = show

    def type_everything(self) -> None:
        """Type the source to its end and wait for the last prompt, or for the end of the shell or of QEMU."""
        while not self._over:
            self._wait_for_turn()
            if line := self._next_line():
                self._type(line)
            elif self._tail.endswith(self._prompt):
                return
            else:
                self._type(END_OF_INPUT)

    def last_status(self, within_seconds: float) -> int:
        """End the shell, if it has not ended already: what a script of these lines would end with.

        0 where the guest has ended or says nothing.
        """
        if not self._over:
            self._leave_shell(within_seconds)
        return self._status or 0

    def leave(self) -> None:
        """End the guest, if it has not ended already, and its last line."""
        if not (self._guest_ended or self._at_line_start):
            self._show(b"\n")
        with contextlib.suppress(OSError):
            self._console.sendall(LEAVE)

    @property
    def _over(self) -> bool:
        return self._guest_ended or self._status is not None

    def _leave_shell(self, within_seconds: float) -> None:
        """Nobody asked to see that; but what the shell does at its end, by a trap, is the lines' own."""
        said = bytearray()
        show, self._show = self._show, said.extend
        self._type(b"exit\n")
        with contextlib.suppress(TimedOut):
            self._wait_for_prompt(Deadline(within_seconds, "the status of the last command"))
        self._show = show
        _, _, last_words = bytes(said).partition(b"\n")
        self._at_line_start = last_words.endswith(b"\n")
        if last_words:
            self._show(b"\n" + last_words)

    def _wait_for_prompt(self, deadline: Deadline) -> None:
        """Where the kernel has printed something behind the prompt, Enter brings another."""
        while not (self._over or self._tail.endswith(self._prompt)):
            heard = self._listen(min(self._patience_seconds, deadline.remaining_seconds))
            deadline.check()
            if self._prompted and not heard:
                self._type(b"\n")

    def _wait_for_turn(self) -> None:
        """Wait for a prompt; once something was typed unasked, for silence, since prompts may belong to that."""
        while not self._over:
            prompted = self._tail.endswith(self._prompt) or bool(SECOND_PROMPT.search(self._tail))
            if prompted and not self._unasked:
                return
            if not self._listen(self._patience_seconds):
                self._unasked = not prompted
                return

    def _next_line(self) -> bytes:
        """Empty when the source, the shell or the guest has ended."""
        while b"\n" not in self._unread and not (self._source_ended or self._over):
            self._listen(None, self._source)
        if self._over:
            return b""
        line, _, self._unread = self._unread.partition(b"\n")
        return line + b"\n" if line or self._unread or not self._source_ended else b""

    def _type(self, line: bytes) -> None:
        self._tail, self._prompted = b"", False
        try:
            self._console.sendall(line)
        except OSError:
            self._guest_ended = True

    def _listen(self, within_seconds: float | None, *also: int) -> bool:
        """Take in what comes from the guest, and from the source; whether anything came in time."""
        watched: list[socket.socket | int] = [self._console, *also]
        ready, _, _ = select.select(watched, [], [], within_seconds)
        if self._console in ready:
            self._take_output()
        if self._source in ready:
            chunk = os.read(self._source, CHUNK_BYTES)
            self._unread += chunk
            self._source_ended = not chunk
        return bool(ready)

    def _take_output(self) -> None:
        try:
            chunk = self._console.recv(CHUNK_BYTES)
        except ConnectionResetError:
            chunk = b""
        self._guest_ended = not chunk
        text, self._withheld = without_questions(self._withheld + chunk)
        if self._status is not None:
            return
        if found := HOW_IT_ENDED.search(text):
            self._status, text = int(found[1]), text[: found.start()]
        if text:
            self._show(text)
            self._at_line_start = text.endswith(b"\n")
        self._prompted |= self._prompt in self._tail + text
        self._tail = (self._tail + text)[-len(self._prompt) :]


def without_questions(output: bytes) -> tuple[bytes, bytes]:
    """What of the guest's output is to be shown, and its end if that may be the beginning of what is not."""
    shown = output.replace(WHERE_IS_THE_CURSOR, b"")
    begun = BEGUN.search(shown)
    return (shown[: begun.start()], begun[0]) if begun else (shown, b"")


def _ignore(output: bytes) -> None:
    """For output that nobody is to see."""
