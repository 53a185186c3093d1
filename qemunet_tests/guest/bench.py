"""The bench: what can boot guests here, and cleans up behind them."""

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from qemunet_tests.errors import HarnessError
from qemunet_tests.guest.bare_qemu import LaunchAttempt, attach, attempt
from qemunet_tests.guest.documented_command_line import DocumentedGuests
from qemunet_tests.guest.guest import BOOT_SECONDS, Guest
from qemunet_tests.guest.guest_launcher import ChooseMac, GuestLauncher, MacPool
from qemunet_tests.guest.halted_qemu import halted, printed
from qemunet_tests.guest.living_guests import LivingGuests
from qemunet_tests.guest.panic import TimerMissed, despite_its_timer, require_timekeeping
from qemunet_tests.guest.template import NETWORK
from qemunet_tests.guest.template_builder import TemplateBuilder, restored
from qemunet_tests.guest.templates import Templates
from qemunet_tests.host.asking import Completed
from qemunet_tests.isolation.folder import Folder
from qemunet_tests.isolation.identity import Identity, unprivileged
from qemunet_tests.isolation.processes import Process
from qemunet_tests.isolation.station import Station
from qemunet_tests.qemu.command_line import NetdevRefused, QemuProcess
from qemunet_tests.qemu.guest_machine import GuestMachine
from qemunet_tests.qemu.launcher import Launcher
from qemunet_tests.qemu.netdev import Netdev, Nic
from qemunet_tests.qemu.qemu_facts import Qemu
from qemunet_tests.qemu.setuid_helper import BridgeHelper, HostHelper
from qemunet_tests.timeouts import Pace

if TYPE_CHECKING:
    from qemunet_tests.guest.peer import Peer


@dataclass(frozen=True)
class BenchEvents:
    """Who is told of what happens on a bench.

    `note` of what a reader of the report should know, `announce` of what takes long, `count` of every guest, by its
    kind. `on_ready` is called with every guest right after it took its first command, and `on_attached` with every
    peer before its first frame, which is where faults are planted, and `before_discard` before a guest is ended.
    """

    note: Callable[[str], None] = lambda _: None
    announce: Callable[[str], None] = lambda _: None
    count: Callable[[str], None] = lambda _: None
    on_ready: Callable[[Guest], None] = lambda _: None
    on_attached: "Callable[[Peer], None]" = lambda _: None
    before_discard: Callable[[Guest], None] = lambda _: None


class Bench:
    """Boots disposable guests at one station on one machine.

    Guests are thawed from templates unless `cold`; their wires are written down with `captures`. `choose_mac` is asked
    for every NIC that brings no address of its own. `identity` and `helper` are those of the real host, else the lab's.
    """

    def __init__(
        self,
        machine: GuestMachine,
        station: Station,
        events: BenchEvents = BenchEvents(),
        *,
        cold: bool = False,
        captures: bool = True,
        identity: Identity | None = None,
        helper: HostHelper | None = None,
        choose_mac: ChooseMac | None = None,
    ) -> None:
        placed = replace(machine, image=machine.image.placed())
        launcher = Launcher(machine.qemu, station, identity or unprivileged(), helper)
        self.pace, self._events, pool = Pace(machine.accel.slowdown), events, MacPool()
        self._launcher = GuestLauncher(
            placed, machine, launcher, self.pace, captures, choose_mac or pool.choose, pool, events.note
        )
        self._living = LivingGuests(machine, events.before_discard)
        self.documented = DocumentedGuests(placed, machine.image.vdisk, launcher, self.pace, events.count)
        self._templates = None if cold else Templates(placed, launcher.identity, self._make_template, events.note)

    @property
    def machine(self) -> GuestMachine:
        return self._launcher.machine

    @property
    def qemu(self) -> Qemu:
        return self.machine.qemu

    @property
    def station(self) -> Station:
        """Where guests are made."""
        return self._launcher.launcher.station

    @property
    def identity(self) -> Identity:
        """Whom QEMU runs as."""
        return self._launcher.launcher.identity

    @property
    def helper(self) -> HostHelper | BridgeHelper:
        """The bridge helper that QEMU calls."""
        return self._launcher.launcher.helper

    def killed(self) -> str | None:
        """That somebody has killed a QEMU of those alive, which proves nothing about it; None where nobody has."""
        return self._launcher.launcher.killed()

    @property
    def note(self) -> Callable[[str], None]:
        return self._events.note

    @property
    def making_seconds(self) -> float:
        """What templates have cost so far."""
        return self._templates.making_seconds if self._templates else 0.0

    @property
    def guests(self) -> list[Guest]:
        """Those alive, the youngest last, without those that are set aside."""
        return self._living.all

    def set_aside(self, guest: Guest) -> None:
        """A guest that outlives tests is no test's own until one takes it up: whatever fails meanwhile is not its."""
        self._living.set_aside(guest)

    def take_up(self, guest: Guest) -> None:
        """The test that runs has it now."""
        self._living.take_up(guest)

    @contextlib.contextmanager
    def varied(
        self,
        *,
        station: Station | None = None,
        qemu: Qemu | None = None,
        captures: bool | None = None,
        to_come: tuple[Netdev, ...] = (),
    ) -> Iterator[None]:
        """Guests that are made in the meantime run at another station, by another QEMU, or are written down or not.

        Backends `to_come` are those they are given while they run.
        """
        before = self._launcher
        self._launcher = before.varied(station, qemu, captures, to_come)
        try:
            yield
        finally:
            self._launcher = before

    def boot(self, *nics: Nic, network: bool = True, cold: bool = False) -> Guest:
        """Make a fresh guest and return it once it takes commands: thawed where that is possible, else booted.

        With `network` its DHCP client is under way, without it has none. Raises NetdevRefused where
        QEMU refuses a backend, LaunchFailed, GuestDied and TimedOut where the guest does not come up.
        """
        with self._living.unseen_if_it_fails():
            guest = self._made(nics, network, cold)
            self._events.on_ready(guest)
            return guest

    def _made(self, nics: tuple[Nic, ...], network: bool, cold: bool) -> Guest:
        models = tuple(nic.model for nic in nics)
        cold = cold or any(nic.netdev.shares_memory for nic in nics)
        template = self._templates.take(models) if self._templates and not cold else None
        if template and self._templates:
            try:
                guest = restored(self._launcher, self._living, template, nics, network)
                self._events.count("thawed")
                return guest
            except NetdevRefused:
                raise
            except HarnessError as error:
                self._templates.give_up(models, error)
        return self._boot(nics, network)

    def start_cold(self, *nics: Nic) -> Guest:
        """Start a guest that several others boot beside. It takes commands after `finish_boot`."""
        words = self.machine.booting((nic.netdev for nic in nics), NETWORK)
        return self._launcher.start(nics, words, self._living)

    def finish_boot(self, guest: Guest, crowd: int = 1) -> None:
        """Wait until a guest that was started cold takes commands, and start its DHCP clients.

        `crowd` guests boot at the same time. Raises GuestDied, TimedOut.
        """
        guest.wait_until_ready(self.pace.seconds(BOOT_SECONDS) * crowd)
        guest.start_network(thawed=False, network=True)
        self._events.count("booted")
        self._events.on_ready(guest)

    def _boot(self, nics: tuple[Nic, ...], network: bool) -> Guest:
        guest = despite_its_timer(lambda: self._booted(nics), self.note)
        guest.start_network(thawed=False, network=network)
        self._events.count("booted")
        return guest

    def _booted(self, nics: tuple[Nic, ...]) -> Guest:
        started = time.monotonic()
        guest = self.start_cold(*nics)
        try:
            guest.wait_until_ready(self.pace.seconds(BOOT_SECONDS))
            require_timekeeping(guest.run, started)
        except TimerMissed:
            self.discard(guest)
            raise
        return guest

    def _make_template(self, models: tuple[str, ...]) -> Path:
        named = " and ".join(models) or "no NIC"
        self._events.announce(f"making a template for guests with {named}: booting one, once")
        return TemplateBuilder(self._launcher, self._living).freeze(models)

    def save_evidence(self, folder: Folder) -> list[Path]:
        """Copy what the living guests wrote: console, monitor log, captures, and how to boot them by hand."""
        return self._living.save_evidence(folder)

    def give(self, guest: Guest, name: str) -> Path:
        """Make an empty file in a guest's folder that its QEMU may write to."""
        return self._launcher.launcher.give(guest.folder / name)

    def discard(self, guest: Guest) -> None:
        """End a guest, and forget everything it wrote."""
        self._living.discard(guest)

    def discard_failed(self) -> None:
        """End the guests that did not come up, now that whoever wanted to has looked into what they wrote."""
        self._living.discard_failed()

    def close(self) -> None:
        self._living.close()

    def attempt(self, *words: str, netdevs: Sequence[Netdev] = (), noted: bool = True) -> LaunchAttempt:
        """Start QEMU without a guest, see whether it starts, and end it again.

        `words` are added to a machine that has nothing. Warnings are noted, unless a test is about them.
        """
        return attempt(self._launcher, words, netdevs, noted)

    def halted(
        self, *words: str, netdevs: Sequence[Netdev] = (), defaults: bool = False
    ) -> contextlib.AbstractContextManager[QemuProcess]:
        """A QEMU whose machine does not run, with its monitor. `words` are all it has, but for its `defaults`.

        `netdevs` are those among the words that need privileges.
        """
        return halted(self._launcher, words, netdevs, defaults)

    def printed(self, *words: str) -> Completed:
        """What QEMU prints and ends with, asked about itself: `printed("-device", "help")`. Raises TimedOut."""
        return printed(self._launcher, words)

    def attach(self, netdev: Netdev, *words: str) -> "Peer":
        """A scapy peer at the other end of a backend: real QEMU, no machine, no guest. `words` are added.

        Raises NetdevRefused where QEMU refuses the backend.
        """
        return self.attach_each([netdev], *words)[0]

    def attach_each(self, netdevs: Sequence[Netdev], *words: str) -> "list[Peer]":
        """Scapy peers at the other ends of several backends of one QEMU."""
        peers = attach(self._launcher, netdevs, words)
        for peer in peers:
            self._events.count("peers")
            self._events.on_attached(peer)
        return peers

    def attach_terminal(self, nics: tuple[Nic, ...], words: Sequence[str], **streams: object) -> Process:
        """Boot a guest for a person: QEMU's standard streams are its console, with the monitor behind Ctrl-A.

        `words` are appended to the command line; `streams` are those of subprocess. The caller ends the process.
        """
        return self._launcher.attach_terminal(nics, words, **streams)
