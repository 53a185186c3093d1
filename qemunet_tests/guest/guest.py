"""A guest: one disposable machine, alive, and how to drive it."""

import base64
import secrets
import shlex
import time
from pathlib import Path

from qemunet_tests.deadline import Deadline
from qemunet_tests.errors import HarnessError, TimedOut
from qemunet_tests.guest import panic
from qemunet_tests.guest.console import Console, ConsoleClosed
from qemunet_tests.guest.panic import GuestDied
from qemunet_tests.host.asking import Completed
from qemunet_tests.qemu.command_line import QemuProcess
from qemunet_tests.qemu.guest_tools import GuestTools
from qemunet_tests.qemu.netdev import Nic
from qemunet_tests.qemu.qmp import Monitor
from qemunet_tests.timeouts import Pace

__all__ = ["BOOT_SECONDS", "CommandFailed", "Guest", "GuestDied"]

#: How long a cold boot may take under KVM, before the pace is applied.
BOOT_SECONDS = 12.0
#: Bytes of base64 that one request may carry with room to spare.
CHUNK_BYTES = 30_000


class CommandFailed(HarnessError):
    """A command that was relied on failed in the guest."""

    def __init__(self, command: str, completed: Completed) -> None:
        said = completed.complaint or completed.text or "it said nothing"
        # A command may carry a whole file.
        shown = command if len(command) <= 200 else f"{command[:200]} ..."
        super().__init__(f"in the guest, `{shown}` ended with status {completed.status}: {said}")
        self.completed = completed


class Guest:
    """Drives one guest over its control port; never over the network, which is what is under test."""

    def __init__(
        self,
        name: str,
        qemu: QemuProcess,
        nics: tuple[Nic, ...],
        macs: tuple[str, ...],
        pace: Pace,
        tools: GuestTools,
    ):
        self.name = name
        self.qemu = qemu
        self.nics = nics
        self.macs = macs
        self.pace = pace
        #: How its image spells what it is told to do.
        self.tools = tools
        #: Seconds on the monotonic clock when QEMU was started; the benchmarks count from here.
        self.started_seconds = qemu.started_seconds
        #: The same moment by the clock that its captures are dated by.
        self.started_at_seconds = qemu.started_at_seconds
        #: What it was asked to run last, for whoever wants to ask again.
        self.last_command: str | None = None
        #: What its template wrote on the console before this guest was thawed from it.
        self.template_console: Path | None = None
        self._console = Console(qemu.control_socket)

    @property
    def folder(self) -> Path:
        return self.qemu.folder

    @property
    def monitor(self) -> Monitor:
        return self.qemu.monitor

    def wait_until_ready(self, within_seconds: float) -> None:
        """Wait until the guest takes commands. Raises GuestDied, TimedOut with the last lines of its console."""
        try:
            self._console.wait_until_ready(within_seconds)
        except ConsoleClosed as error:
            raise panic.died(f"{error}; {self._last_words()}", self.panic) from error
        except TimedOut as error:
            raise TimedOut(f"{error}; {self._last_words()}") from error

    def start_network(self, thawed: bool, network: bool) -> None:
        """Get a guest going that waits where every guest waits before it configures its network.

        A thawed guest believes that it is still the moment at which it was saved: its clock stands, and its random
        numbers are its template's. With `network` its DHCP clients start, on NICs with the MAC addresses of its own.
        Raises GuestDied, TimedOut, HarnessError.
        """
        epoch_seconds = int(time.time()) if thawed else 0
        macs = self.macs if network else ()
        try:
            status = self._console.start_network(epoch_seconds, secrets.token_hex(32), macs, self.pace.seconds(6.0))
        except ConsoleClosed as error:
            raise GuestDied(f"{error}; {self._last_words()}") from error
        if status:
            raise HarnessError(f"the guest could not bring its network up: status {status}")

    def wait_idle(self, within_seconds: float) -> None:
        """Wait until what its boot started in the background is done: the SSH host key, slow links."""
        limit_seconds = round(self.pace.seconds(within_seconds))
        self.check(self.tools.settle.format(limit_seconds=limit_seconds), within_seconds + 2)
        # The answer leaves before the programs that gave it have ended.
        self._console.ask_readiness(self.pace.seconds(within_seconds))
        idle = Deadline(self.pace.seconds(within_seconds), "the guest to have nothing to do")
        idle.wait_until(self._idles, interval_seconds=0.05)

    def _idles(self) -> bool:
        """Whether its processor is halted at several looks in a row."""
        return all("HLT=1" in self.monitor.ask("info registers") for _ in range(10))

    def run(self, command: str, within_seconds: float = 10.0) -> Completed:
        """Run a shell command, to ask. Any status is an answer.

        `within_seconds` is meant for KVM and grows under emulation. Raises TimedOut, GuestDied.
        """
        limit_seconds = self.pace.seconds(within_seconds)
        self.last_command = command
        try:
            return self._console.run(command, limit_seconds, grace_seconds=self.pace.seconds(5.0))
        except ConsoleClosed as error:
            raise GuestDied(f"{error}; {self._last_words()}") from error

    def check(self, command: str, within_seconds: float = 10.0) -> str:
        """Run a shell command, to rely on. Returns its output; raises CommandFailed when it fails."""
        completed = self.run(command, within_seconds)
        if not completed.succeeded:
            raise CommandFailed(command, completed)
        return completed.text

    def await_lease(self, nic: int, within_seconds: float) -> str | None:
        """Wait for the lease of NIC number `nic`: a line `name=value` for each option, None where none came in time.

        Cheaper than asking again and again by command. `within_seconds` is meant for KVM. Raises TimedOut, GuestDied.
        """
        try:
            return self._console.await_lease(f"eth{nic}", self.pace.seconds(within_seconds), self.pace.seconds(5.0))
        except ConsoleClosed as error:
            raise GuestDied(f"{error}; {self._last_words()}") from error

    def put(self, path: str, content: bytes) -> None:
        """Write a file in the guest."""
        self.check(f"mkdir -p {shlex.quote(str(Path(path).parent))}; : > {shlex.quote(path)}")
        for start in range(0, len(content), CHUNK_BYTES):
            chunk = base64.b64encode(content[start : start + CHUNK_BYTES]).decode()
            self.check(f"echo {chunk} | base64 -d >> {shlex.quote(path)}")

    def read(self, path: str) -> str | None:
        """A file of the guest, None where there is none."""
        completed = self.run(f"cat {shlex.quote(path)}")
        return completed.stdout.decode(errors="replace") if completed.succeeded else None

    def unplug(self, number: int = 0) -> None:
        """Pull the cable out of a NIC."""
        self.monitor.execute("set_link", name=f"net{number}", up=False)

    def write_monitor_log(self) -> None:
        """Write down what was said over the monitor so far, beside what QEMU wrote itself."""
        (self.folder / "monitor.log").write_text("\n".join(self.monitor.log) + "\n")

    @property
    def panic(self) -> str | None:
        """What the guest's kernel panicked about, if it did."""
        return panic.panic_in(self.qemu.console_text)

    def _last_words(self) -> str:
        # QEMU closes its sockets a moment before it can be waited for.
        ended = Deadline(1.0, "QEMU to end")
        ended.sees(self.qemu.how_it_ended)
        if self.panic:
            return f"its kernel panicked: {self.panic}"
        lines = [line for line in self.qemu.console_text.splitlines() if line.strip()]
        console = f"last on its console: {lines[-1].strip()}" if lines else "nothing on its console"
        state = self.qemu.how_it_ended()
        said = f" saying: {self.qemu.said}" if state and self.qemu.said else ""
        return f"QEMU {'still runs' if state is None else f'ended, {state}'}{said}; {console}"

    def close(self) -> None:
        self.qemu.quit()
