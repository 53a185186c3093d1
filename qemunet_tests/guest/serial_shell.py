"""The one-port console of the post's own command line: a human's shell, driven by pexpect.

Its terminal changes bytes and kernel messages land in it, so output travels as base64 with a checksum, and is asked
for again when it was spoilt on its way.
"""

import base64
import hashlib
import re
import secrets
import socket

import pexpect
from pexpect.socket_pexpect import SocketSpawn

from qemunet_tests.deadline import Deadline
from qemunet_tests.errors import HarnessError, TimedOut
from qemunet_tests.guest.panic import died, panic_in
from qemunet_tests.host.asking import Completed
from qemunet_tests.qemu.guest_profile import GuestProfile
from qemunet_tests.timeouts import Pace

PANIC = rb"Kernel panic - not syncing: [^\r\n]*(?=[\r\n])"
ANSWER = re.compile(rb"#QN (\d+) (\d+) ([0-9a-f]{32}) ([A-Za-z0-9+/=]*) ([A-Za-z0-9+/=]*) #")
#: busybox's line editor takes no more than 1024 characters in a line.
LONGEST_COMMAND_BYTES = 600
INTERRUPT = b"\x03"
#: How long under KVM an answer is waited for before it is asked for again, at first.
PATIENCE_SECONDS = 0.5


class SerialShell:
    """A shell on the guest's only serial port."""

    def __init__(self, connection: socket.socket, pace: Pace, guest: GuestProfile) -> None:
        self.pace = pace
        self.tools = guest.tools
        self._prompt = guest.control.prompt.encode()
        self._spawn = SocketSpawn(connection, timeout=None, encoding=None)
        # Anywhere, so that nothing a guest prints passes for an answer.
        self._sequence = secrets.randbelow(1 << 32)

    def close(self) -> None:
        """Hang up."""
        self._spawn.close()

    def wait_for_prompt(self, within_seconds: float) -> None:
        """Wait until the guest has booted to a shell. Raises TimedOut, GuestDied, HarnessError when QEMU ends."""
        deadline = Deadline(self.pace.seconds(within_seconds), "the guest's shell prompt")
        while not deadline.passed:
            found = self._comes(
                re.compile(re.escape(self._prompt) + b"|" + PANIC), deadline.remaining_seconds, deadline
            )
            if found and found[0] == self._prompt:
                return
            if found:
                panic = panic_in(found[0].decode(errors="replace"))
                raise died(f"the guest's kernel panicked: {panic}", panic)
        raise self._late(deadline)

    def run(self, command: str, within_seconds: float = 10.0) -> Completed:
        """Run a short command whose output is small, to ask. `within_seconds` is meant for KVM.

        What exceeds its time is interrupted. Raises TimedOut, and HarnessError when QEMU ends.
        """
        if len(command.encode()) > LONGEST_COMMAND_BYTES:
            raise HarnessError(f"too long for the guest's shell: {command}")
        self._sequence += 1
        deadline = Deadline(self.pace.seconds(within_seconds), f"the guest to answer: {command}")
        encoded = base64.b64encode(command.encode()).decode()
        self._type(
            f'( eval "$(echo {encoded} | base64 -d)" ) >/tmp/.out 2>/tmp/.err </dev/null; echo $? >/tmp/.status',
            deadline,
        )
        patience_seconds = self.pace.seconds(PATIENCE_SECONDS)
        while not deadline.passed:
            # Typed while the command still runs, this is read when it has ended.
            self._type(
                f'echo "#QN {self._sequence} $(cat /tmp/.status) $(cat /tmp/.out /tmp/.err | md5sum | cut -c 1-32)'
                " $(base64 /tmp/.out | tr -d '\\n') $(base64 /tmp/.err | tr -d '\\n') #\"",
                deadline,
            )
            if answer := self._answer(min(patience_seconds, deadline.remaining_seconds), deadline):
                return answer
            patience_seconds *= 2
        self._spawn.send(INTERRUPT)
        raise self._late(deadline)

    def _answer(self, within_seconds: float, deadline: Deadline) -> Completed | None:
        """The answer to the present command; None when it did not come, or not as it was sent."""
        waiting = Deadline(within_seconds, deadline.awaiting)
        while match := self._comes(ANSWER, waiting.remaining_seconds, deadline):
            stdout, stderr = base64.b64decode(match[4]), base64.b64decode(match[5])
            intact = hashlib.md5(stdout + stderr, usedforsecurity=False).hexdigest().encode() == match[3]
            if int(match[1]) == self._sequence:
                return Completed(int(match[2]), stdout, stderr) if intact else None
        return None

    def _comes(
        self, pattern: re.Pattern[bytes] | bytes, within_seconds: float, deadline: Deadline
    ) -> re.Match[bytes] | None:
        try:
            self._spawn.expect(pattern, timeout=within_seconds)
        except pexpect.TIMEOUT:
            return None
        except (pexpect.EOF, OSError) as closed:
            raise self._ended(deadline) from closed
        return self._spawn.match  # type: ignore[return-value]  # never one of pexpect's words for failure here

    def _type(self, line: str, deadline: Deadline) -> None:
        try:
            self._spawn.sendline(line)
        except OSError as closed:
            raise self._ended(deadline) from closed

    def _late(self, deadline: Deadline) -> TimedOut:
        return TimedOut(f"gave up after {deadline.seconds:.3g} s waiting for {deadline.awaiting}; {self._last_words()}")

    def _ended(self, deadline: Deadline) -> HarnessError:
        return HarnessError(f"QEMU ended while we waited for {deadline.awaiting}; {self._last_words()}")

    def _last_words(self) -> str:
        # What pexpect has read and nobody awaited; before it has read anything this is no text.
        seen = self._spawn.before if isinstance(self._spawn.before, bytes) else b""
        lines = [line.strip() for line in seen.decode(errors="replace").splitlines() if line.strip()]
        return f"last on its console: {lines[-1]}" if lines else "nothing on its console"
