"""Starting QEMU, and knowing why when it does not start."""

import contextlib
import os
import shlex
import signal
import socket
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from qemunet_tests.deadline import Deadline
from qemunet_tests.errors import HarnessError
from qemunet_tests.host import oom_kills
from qemunet_tests.isolation.processes import Process, stop
from qemunet_tests.qemu.complaints import Complaints, told_apart
from qemunet_tests.qemu.qmp import Monitor
from qemunet_tests.qemu.standstill import StandsStill, Standstill

#: How QEMU ends where it will not do what it was told: by its exit status, or by an assertion of its own.
REFUSED = (1, -signal.SIGABRT)
#: QEMU's sandbox with all that qemu(1) knows to deny.
SANDBOX = ("-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny")
#: What the guest writes on its first serial port; there before QEMU starts.
CONSOLE = "console.log"
#: Starts a command somewhere as somebody; the bench decides where and who.
Start = Callable[..., Process]

#: QEMU closes its monitor before it can be waited for.
ENDING_SECONDS = 3.0
#: Of what QEMU and its guest write, so much of the beginning and as much of the end is read: both are for people, and
#: whoever floods them would fill our memory, in which a text has many times its bytes.
SAID_BYTES, CONSOLE_BYTES = 4 << 10, 1 << 20


class LaunchFailed(HarnessError):
    """QEMU ended instead of starting: its command line, how it ended, what it said, and what of that is the reason."""

    def __init__(self, words: Sequence[str], status: int, message: str, complaints: Complaints, ended: str) -> None:
        super().__init__(f"QEMU did not start ({ended}): {complaints}\n{shlex.join(words)}")
        self.words = list(words)
        self.status = status
        self.message = message
        self.complaints = complaints


class NetdevRefused(LaunchFailed, AssertionError):
    """QEMU refused a network backend or device.

    Unlike any other failure to start this is an answer about the promise: an assertion that failed.
    """


def _launch_failure(tried: Sequence[str], words: Sequence[str], status: int, message: str, ended: str) -> LaunchFailed:
    """`tried` are the words without our own plumbing."""
    complaints = told_apart(message, tried)
    # One that was killed has refused nothing, whatever it said before.
    refused = complaints.refuses_network and status in REFUSED
    return (NetdevRefused if refused else LaunchFailed)(words, status, message, complaints, ended)


def _how_it_ended(status: int, oom_kills_before: int | None) -> str:
    if status >= 0:
        return f"exit status {status}"
    if status == -signal.SIGKILL:
        return f"killed by SIGKILL{oom_kills.said_since(oom_kills_before)}"
    try:
        return f"killed by {signal.Signals(-status).name}"
    except ValueError:
        return f"killed by signal {-status}"


def _both_ends(file: Path, most_bytes: int) -> str:
    """What a file begins with and ends with, and between them how much was left out; nothing where there is none."""
    try:
        with file.open("rb") as stream:
            begins = stream.read(most_bytes)
            between = max(os.fstat(stream.fileno()).st_size - 2 * most_bytes, 0)
            stream.seek(between, os.SEEK_CUR)
            ends = stream.read(most_bytes)
    except FileNotFoundError:
        return ""
    left_out = f"\n[{between} bytes more]\n".encode() if between else b""
    return (begins + left_out + ends).decode(errors="replace")


class QemuProcess:
    """A running QEMU with its monitor, and sockets to its serial ports.

    `folder` receives what it writes; `words` are the command line without the plumbing that is added here. Once it
    runs, `require` is called with its process, and raises HarnessError where QEMU is not what it was to be.
    """

    def __init__(
        self,
        words: Sequence[str],
        start: Start,
        folder: Path,
        serial_ports: int = 2,
        require: Callable[[Process], None] = lambda _: None,
    ) -> None:
        self.folder = folder
        self.console_log = folder / CONSOLE
        self._stderr = folder / "qemu.stderr"
        ours, theirs = zip(*(socket.socketpair() for _ in range(2)), strict=True)
        self.control_socket = ours[1]
        self.monitor = Monitor(ours[0], folder.name, self.fate_in_words)
        descriptors = [end.fileno() for end in theirs]
        self._tried = list(words)
        self._require = require
        self.words = [*words, *self._plumbing(descriptors, serial_ports)]
        #: By a clock that only runs, and by the one that captures are dated by.
        self.started_seconds, self.started_at_seconds = time.monotonic(), time.time()
        self._oom_kills_before = oom_kills.count()
        self.ended_by_us = False
        with self._stderr.open("wb") as stderr:
            self.process = start(self.words, stderr=stderr, pass_fds=descriptors)
        for end in theirs:
            end.close()

    def _plumbing(self, descriptors: list[int], serial_ports: int) -> list[str]:
        monitor, control = descriptors
        words = [
            "-chardev", f"socket,id=qmp,fd={monitor}", "-qmp", "chardev:qmp",
            "-chardev", f"file,id=console,path={self.console_log}", "-serial", "chardev:console",
        ]  # fmt: skip
        if serial_ports > 1:
            words += ["-chardev", f"socket,id=control,fd={control}", "-serial", "chardev:control"]
        return words

    def wait_until_running(self, within_seconds: float) -> None:
        """Wait for the monitor. Raises LaunchFailed when QEMU ended instead, TimedOut when it hangs, HarnessError."""
        try:
            self.monitor.connect(within_seconds, Standstill(self.process.pid).seen)
            if self._starts_a_program:
                self.monitor.require_answer(Standstill(self.process.pid).seen)
        except StandsStill:
            # Its monitor would be asked in vain to end it.
            self.kill()
            raise
        except HarnessError as error:
            if self._ends(ENDING_SECONDS):
                status, ended = self.process.returncode, str(self.how_it_ended())
                raise _launch_failure(self._tried, self.words, status, self.said, ended) from None
            raise type(error)(f"{error}\n{shlex.join(self.words)}") from error
        self._require(self.process)

    @property
    def _starts_a_program(self) -> bool:
        """Whether it may stand still afterwards."""
        return any(word.partition(",")[0] == "passt" for word in self._tried)

    @property
    def said(self) -> str:
        """What QEMU wrote on standard error so far."""
        return _both_ends(self._stderr, SAID_BYTES).strip()

    @property
    def complaints(self) -> Complaints:
        """The same, told apart."""
        return told_apart(self.said, self._tried)

    @property
    def console_text(self) -> str:
        """What the guest wrote on its console so far."""
        return _both_ends(self.console_log, CONSOLE_BYTES)

    def how_it_ended(self) -> str | None:
        """None while QEMU runs."""
        status = self.process.poll()
        return None if status is None else _how_it_ended(status, self._oom_kills_before)

    def fate_in_words(self) -> str:
        """How QEMU has ended, whether we did that, and what it said last, warnings aside; or that it runs.

        For whoever finds it silent: it closes what it has open before it can be waited for.
        """
        if not self._ends(ENDING_SECONDS):
            return f"it runs (process {self.process.pid})"
        ended = "we have ended it" if self.ended_by_us else "it has ended"
        said = f"said last: {errors[-1]}" if (errors := self.complaints.errors) else "said nothing"
        return f"{ended} ({self.how_it_ended()}) and {said}"

    @property
    def killed(self) -> str | None:
        """What is said of a QEMU that somebody else has killed: it never does that itself. None for any other."""
        if self.ended_by_us or self.process.poll() != -signal.SIGKILL:
            return None
        return f"a QEMU was {self.how_it_ended()}"

    def kill(self) -> None:
        """End QEMU as it does not expect it."""
        self.ended_by_us = True
        self.process.kill()
        self.process.wait()

    def quit(self) -> None:
        """End QEMU as an operator would, so that it cleans up behind itself; or make it end."""
        self.ended_by_us = True
        if self.process.poll() is None:
            # Asked of a monitor that was never reached, or no longer answers, this fails: then it is made to end.
            with contextlib.suppress(HarnessError):
                self.monitor.execute("quit", within_seconds=3.0)
                self._ends(3.0)
        stop(self.process)
        self.monitor.close()
        self.control_socket.close()

    def _ends(self, within_seconds: float) -> bool:
        return Deadline(within_seconds, "QEMU to end").sees(lambda: self.process.poll() is not None)
