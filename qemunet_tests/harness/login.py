"""The one-port console of the post's own command line: a human's shell, driven by pexpect.

Kernel messages land in it and its terminal changes bytes, so output travels as base64.
"""

import base64
import re
import socket

import pexpect
from pexpect.socket_pexpect import SocketSpawn

from qemunet_tests.harness.errors import HarnessError, TimedOut
from qemunet_tests.harness.pace import Pace
from qemunet_tests.harness.processes import Completed

PROMPT = "guest# "
ANSWER = re.compile(rb"#QN (\d+) ([A-Za-z0-9+/=]*) ([A-Za-z0-9+/=]*)#")


class Login:
    """A shell on the guest's only serial port."""

    def __init__(self, connection: socket.socket, pace: Pace) -> None:
        self.pace = pace
        self._spawn = SocketSpawn(connection, timeout=None, encoding=None, searchwindowsize=4096)

    def wait_for_prompt(self, within_seconds: float) -> None:
        """Wait until the guest has booted to a shell. Raises TimedOut, HarnessError when QEMU ends."""
        self._expect(PROMPT.encode(), self.pace.seconds(within_seconds), "the guest's shell prompt")

    def run(self, command: str, within_seconds: float = 10.0) -> Completed:
        """Run a command whose output is small, to ask. `within_seconds` is meant for KVM."""
        self._spawn.sendline(
            f"( {command} ) >/tmp/.out 2>/tmp/.err; "
            "echo \"#QN $? $(base64 /tmp/.out | tr -d '\\n') $(base64 /tmp/.err | tr -d '\\n')#\""
        )
        match = self._expect(ANSWER, self.pace.seconds(within_seconds), f"the guest to answer: {command}")
        return Completed(int(match[1]), base64.b64decode(match[2]), base64.b64decode(match[3]))

    def _expect(self, pattern: re.Pattern[bytes] | bytes, within_seconds: float, awaited: str) -> re.Match[bytes]:
        try:
            self._spawn.expect(pattern, timeout=within_seconds)
        except pexpect.TIMEOUT as late:
            raise TimedOut(f"gave up after {within_seconds:.3g} s waiting for {awaited}") from late
        except (pexpect.EOF, OSError) as closed:
            raise HarnessError(f"QEMU ended while we waited for {awaited}") from closed
        return self._spawn.match  # type: ignore[return-value]  # what was expected was a pattern
