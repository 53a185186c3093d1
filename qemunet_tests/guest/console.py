"""The control channel: commands to the guest's second serial port, answers byte for byte.

The protocol is spoken by the image's agent; its frames carry length and checksum because kernel messages or a
lost byte must never pass for an answer. It is read straight from the socket: pexpect, which drives the one-port
console in `serial_shell.py`, would search a megabyte of payload over and over.
"""

import hashlib
import re
import socket
from collections.abc import Sequence

from qemunet_tests.deadline import Deadline
from qemunet_tests.errors import HarnessError, TimedOut
from qemunet_tests.host.asking import Completed

READY = re.compile(rb"QEMUNET READY 1\r?\n")
FRAME = re.compile(rb"#QN (\d+) (\d+) (\d+) (\d+) ([0-9a-f]{32}|-) ([0-9a-f]{32})\r?\n")
#: Stands for a newline in a command, which is one line on its way.
NEWLINE = "\x01"
#: What a guest may say at once: several times what any command of ours has answered. A hostile one says more.
LIMIT_BYTES = 64 << 20
LONGEST_HEADER_BYTES = 256


class ConsoleClosed(HarnessError):
    """The guest's serial port is gone: QEMU ended."""


class Console:
    """One conversation with one guest, one command at a time."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._unread = bytearray()
        self._sequence = 0

    def wait_until_ready(self, within_seconds: float) -> None:
        """Wait for the guest to say that it takes commands. Raises TimedOut, ConsoleClosed."""
        self._read_past(READY, Deadline(within_seconds, "the guest to be ready on its control port"))

    def ask_readiness(self, within_seconds: float) -> None:
        """Wait until the guest is back at taking commands. Raises TimedOut, ConsoleClosed."""
        deadline = Deadline(within_seconds, "the guest to take commands again")
        self._send("ready", deadline)
        self._read_past(READY, deadline)

    def run(self, command: str, within_seconds: float, grace_seconds: float) -> Completed:
        """Have the guest run a shell command.

        `within_seconds` is how long it may run before it is killed; `grace_seconds` more and the guest itself is
        taken for hung. Raises TimedOut, ConsoleClosed, HarnessError for a damaged answer.
        """
        if NEWLINE in command:
            raise HarnessError(f"the byte 1 cannot be sent in a command: {command!r}")
        deadline = Deadline(within_seconds, f"the guest to finish: {command}")
        self._request("run", command.replace("\n", NEWLINE), deadline)
        try:
            return self._completed(deadline)
        except TimedOut:
            self._kill(command, grace_seconds)
            raise

    def _kill(self, command: str, grace_seconds: float) -> None:
        """End the command that runs, so that the next one can. Raises TimedOut where the guest itself is hung."""
        deadline = Deadline(grace_seconds, f"the guest to answer: {command}")
        self._send(f"kill {self._sequence}", deadline)
        self._completed(deadline)

    def start_network(self, epoch_seconds: int, seed: str, macs: Sequence[str], within_seconds: float) -> int:
        """Ask a waiting guest to set its clock (unless 0), mix its random numbers, and start its network.

        Cheaper than commands that do the same. Returns the status.
        """
        deadline = Deadline(within_seconds, "the guest to set out")
        self._request("out", f"{epoch_seconds} {seed} {' '.join(macs)}", deadline)
        return int(self._answer(deadline)[2])

    def await_lease(self, interface: str, within_seconds: float, grace_seconds: float) -> str | None:
        """Wait for a NIC's lease, as the guest wrote it down; None where none came in time.

        Raises TimedOut where the guest itself is hung.
        """
        deadline = Deadline(within_seconds + grace_seconds, "the guest to say whether it has a lease")
        self._request("lease", f"{interface} {round(within_seconds * 100)}", deadline)
        frame = self._answer(deadline)
        lease = self._read(int(frame[3]), deadline)
        return lease.decode(errors="replace") if int(frame[2]) == 0 else None

    def _request(self, word: str, rest: str, deadline: Deadline) -> None:
        self._sequence += 1
        self._send(f"{word} {self._sequence} {rest}", deadline)

    def _completed(self, deadline: Deadline) -> Completed:
        frame = self._answer(deadline)
        status, *sizes = (int(frame[n]) for n in (2, 3, 4))
        streams = [self._read(size, deadline) for size in sizes]
        digests = [hashlib.md5(stream, usedforsecurity=False).hexdigest().encode() for stream in streams]
        if digests != [frame[5], frame[6]]:
            raise HarnessError(f"the guest's answer was damaged on its way, waiting for {deadline.awaiting}")
        return Completed(status, *streams)

    def _answer(self, deadline: Deadline) -> re.Match[bytes]:
        while True:
            frame = self._read_past(FRAME, deadline)
            if int(frame[1]) == self._sequence:
                return frame
            # The answer to an earlier command that we gave up on.
            self._read(int(frame[3]) + int(frame[4]), deadline)

    def _read_past(self, pattern: re.Pattern[bytes], deadline: Deadline) -> re.Match[bytes]:
        while not (match := pattern.search(bytes(self._unread))):
            # What is no answer by now may be half of one, and the rest of it is still to come: no more is kept.
            del self._unread[:-LONGEST_HEADER_BYTES]
            self._receive(deadline)
        del self._unread[: match.end()]
        return match

    def _read(self, size: int, deadline: Deadline) -> bytes:
        if size > LIMIT_BYTES:
            raise HarnessError(f"the guest announces {size >> 20} MiB, waiting for {deadline.awaiting}")
        while len(self._unread) < size:
            self._receive(deadline)
        payload = bytes(self._unread[:size])
        del self._unread[:size]
        return payload

    def _receive(self, deadline: Deadline) -> None:
        deadline.check()
        self._connection.settimeout(max(deadline.remaining_seconds, 0.001))
        try:
            received = self._connection.recv(65536)
        except TimeoutError:
            return
        except OSError as closed:
            raise ConsoleClosed(f"the guest ended while we waited for {deadline.awaiting}") from closed
        if not received:
            raise ConsoleClosed(f"the guest ended while we waited for {deadline.awaiting}")
        self._unread += received

    def _send(self, line: str, deadline: Deadline) -> None:
        self._connection.settimeout(deadline.remaining_seconds)
        try:
            self._connection.sendall(f"{line}\n".encode())
        except TimeoutError as late:
            raise TimedOut("the guest takes no more input on its control port") from late
        except OSError as closed:
            raise ConsoleClosed("the guest ended before it was asked") from closed
