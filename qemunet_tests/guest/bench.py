"""The bench: what can boot guests here, and cleans up behind them."""

import contextlib
import itertools
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from qemunet_tests.errors import HarnessError
from qemunet_tests.guest import repro
from qemunet_tests.guest.documented_command_line import LiteralGuests
from qemunet_tests.guest.guest import BOOT_SECONDS, Guest
from qemunet_tests.guest.panic import TimerMissed, despite_its_timer
from qemunet_tests.guest.template import NETWORK, Template, as_in_template, device_mac, thaw
from qemunet_tests.guest.template import mac as template_mac
from qemunet_tests.guest.template_builder import Freezer
from qemunet_tests.guest.templates import Templates
from qemunet_tests.isolation.folder import Folder
from qemunet_tests.isolation.identity import Identity, unprivileged
from qemunet_tests.isolation.namespaces import entered, scratch
from qemunet_tests.isolation.processes import Process
from qemunet_tests.isolation.station import Station
from qemunet_tests.qemu.command_line import LaunchFailed, NetdevRefused, QemuProcess
from qemunet_tests.qemu.complaints import Complaints
from qemunet_tests.qemu.guest_machine import GuestMachine
from qemunet_tests.qemu.launcher import Starter
from qemunet_tests.qemu.netdev import Netdev, Nic
from qemunet_tests.qemu.qemu_facts import Qemu
from qemunet_tests.qemu.setuid_helper import BridgeHelper, HostHelper
from qemunet_tests.timeouts import Pace

if TYPE_CHECKING:
    from qemunet_tests.guest.peer import Peer


@dataclass(frozen=True)
class LaunchAttempt:
    """What became of an attempt to start QEMU: it runs, or it ended with a status.

    `message` is all it said, and `complaints` the same told apart.
    """

    started: bool
    status: int | None
    message: str
    complaints: Complaints


class Bench:
    """Boots disposable guests at one station on one machine.

    Guests are thawed from templates unless `cold`. `on_ready` is called with every guest right after it took its first
    command, which is where faults are planted; `note` with what a reader of the report should know, and `announce`
    with what takes long. `before_discard` is called with every guest before it is ended, and `choose_mac` for every
    NIC that brings no address of its own, with its number. `identity` and `helper` are those of the real host, else
    the lab's.
    """

    def __init__(
        self,
        machine: GuestMachine,
        station: Station,
        cold: bool = False,
        note: Callable[[str], None] = lambda _: None,
        count: Callable[[str], None] = lambda _: None,
        identity: Identity | None = None,
        helper: HostHelper | None = None,
        captures: bool = True,
    ) -> None:
        # The cache may lie in a home that is closed to the user QEMU runs as.
        self.machine = replace(machine, image=machine.image.placed(scratch() / f"image-{machine.image.name}"))
        self._as_built = machine
        self._starter = Starter(machine.qemu, station, identity or unprivileged(), helper)
        self.pace = Pace(machine.accel.slowdown)
        self.literal = LiteralGuests(self.machine, machine.image.vdisk, self._starter, self.pace, count)
        self._count, self.note = count, note
        self.captures = captures
        self.on_ready: Callable[[Guest], None] = lambda _: None
        self.announce: Callable[[str], None] = lambda _: None
        self.before_discard: Callable[[Guest], None] = lambda _: None
        self.choose_mac: Callable[[Nic, int], str] = self._mac
        self.templates = None if cold else Templates(self.machine, self.identity, self._make_template, note)
        self._numbers = itertools.count(1)
        self._live: list[Guest] = []
        self._unseen: list[Guest] = []

    @property
    def qemu(self) -> Qemu:
        return self.machine.qemu

    @property
    def station(self) -> Station:
        """Where guests are made."""
        return self._starter.station

    @property
    def identity(self) -> Identity:
        """Whom QEMU runs as."""
        return self._starter.identity

    @property
    def helper(self) -> HostHelper | BridgeHelper:
        """The bridge helper that QEMU calls."""
        return self._starter.helper

    @property
    def making_seconds(self) -> float:
        """What templates have cost so far."""
        return self.templates.making_seconds if self.templates else 0.0

    @property
    def guests(self) -> list[Guest]:
        """Those alive, the youngest last."""
        return list(self._live)

    @contextlib.contextmanager
    def at(self, station: Station) -> Iterator[None]:
        """Guests that are made in the meantime run at another station."""
        before, self._starter.station = self.station, station
        try:
            yield
        finally:
            self._starter.station = before

    def boot(self, *nics: Nic, network: bool = True, cold: bool = False) -> Guest:
        """Make a fresh guest and return it once it takes commands: thawed where that is possible, else booted.

        With `network` its DHCP client is under way, without it has none. Raises NetdevRefused where
        QEMU refuses a backend, LaunchFailed, GuestDied and TimedOut where the guest does not come up.
        """
        before = set(self._live)
        try:
            guest = self._made(nics, network, cold)
            self.on_ready(guest)
            return guest
        except BaseException:
            self._unseen += [guest for guest in self._live if guest not in before]
            raise

    def discard_failed(self) -> None:
        """End the guests that did not come up, now that whoever wanted to has looked into what they wrote."""
        while self._unseen:
            guest = self._unseen.pop()
            if guest in self._live:
                self.discard(guest)

    def _made(self, nics: tuple[Nic, ...], network: bool, cold: bool) -> Guest:
        models = tuple(nic.model for nic in nics)
        template = self.templates.take(models) if self.templates and not cold else None
        if template and self.templates:
            try:
                guest = self._thaw(template, nics, network)
                self._count("thawed")
                return guest
            except NetdevRefused:
                raise
            except HarnessError as error:
                self.templates.give_up(models, error)
        return self._boot(nics, network)

    def start_cold(self, *nics: Nic) -> Guest:
        """Start a guest that several others boot beside. It takes commands after `finish_boot`."""
        return self._start_guest(nics, self.machine.cold(NETWORK))

    def finish_boot(self, guest: Guest, crowd: int = 1) -> None:
        """Wait until a guest that was started cold takes commands, and start its DHCP clients.

        `crowd` guests boot at the same time. Raises GuestDied, TimedOut.
        """
        guest.wait_until_ready(self.pace.seconds(BOOT_SECONDS) * crowd)
        guest.start_network(thawed=False, network=True)
        self._count("booted")
        self.on_ready(guest)

    def _boot(self, nics: tuple[Nic, ...], network: bool) -> Guest:
        guest = despite_its_timer(lambda: self._booted(nics), self.note)
        guest.start_network(thawed=False, network=network)
        self._count("booted")
        return guest

    def _booted(self, nics: tuple[Nic, ...]) -> Guest:
        guest = self._start_guest(nics, self.machine.cold(NETWORK))
        try:
            guest.wait_until_ready(self.pace.seconds(BOOT_SECONDS))
        except TimerMissed:
            self.discard(guest)
            raise
        return guest

    def _thaw(self, template: Template, nics: tuple[Nic, ...], network: bool) -> Guest:
        words = [*self.machine.backed(template.memory, shared=False, network=NETWORK), "-incoming", "defer"]
        guest = self._start_guest(nics, words, thawed=True)
        guest.template_console = template.console
        try:
            thaw(guest.monitor, template.state, self.pace.seconds(4.0))
            guest.start_network(thawed=True, network=network)
        except HarnessError as error:
            complaints = guest.qemu.complaints
            self.discard(guest)
            raise HarnessError(" ".join([str(error), *complaints.errors])) from error
        return guest

    def _start_guest(self, nics: tuple[Nic, ...], machine_words: list[str], thawed: bool = False) -> Guest:
        name, folder = self._starter.new_folder("guest")
        macs = tuple(nic.mac or self.choose_mac(nic, number) for number, nic in enumerate(nics))
        words = [*self.machine.words(name), *machine_words]
        for number, (nic, mac) in enumerate(zip(nics, macs, strict=True)):
            identifier = f"net{number}"
            if thawed:
                words += as_in_template(nic.model, nic.spell(identifier, device_mac(nic.model, number, mac)))
            else:
                words += nic.spell(identifier, mac)
            if self.captures:
                capture = self._starter.give(folder / f"{identifier}.pcap")
                words += ["-object", f"filter-dump,id=wire{number},netdev={identifier},file={capture}"]
        qemu = self._starter.launch(words, folder, [nic.netdev for nic in nics])
        guest = Guest(name, qemu, nics, macs, self.pace)
        self._live.append(guest)
        try:
            qemu.wait_until_running(self.pace.seconds(4.0))
        except HarnessError:
            self.discard(guest)
            raise
        self._note_warnings(qemu)
        return guest

    def _note_warnings(self, qemu: QemuProcess, tried: Sequence[str] = ()) -> None:
        """What QEMU warns of may be an error in its next version; not noted is what it says of what is `tried`."""
        for warning in qemu.complaints.warnings:
            if not any(word in warning for word in tried):
                self.note(f"QEMU {self.qemu.version} warns: {warning}")

    def _make_template(self, models: tuple[str, ...]) -> Path:
        self.announce(f"making a template for guests with {' and '.join(models) or 'no NIC'}: booting one, once")
        freezer = Freezer(self.machine, self._starter, self.pace, self._thaw, self.discard, self.note)
        # A template has none of a libslirp's state, and a build that gives no lease is not to spoil it.
        with self._starter.with_installed_libslirp():
            return freezer.freeze(models)

    def attempt(self, *words: str, netdevs: Sequence[Netdev] = ()) -> LaunchAttempt:
        """Start QEMU without a guest, see whether it starts, and end it again.

        `words` are added to a machine that has nothing.
        """
        _, folder = self._starter.new_folder("attempt")
        names = [f"net{number}" for number, _ in enumerate(netdevs)]
        spelled = [
            word for name, netdev in zip(names, netdevs, strict=True) for word in ("-netdev", netdev.spell(name))
        ]
        qemu = self._starter.launch([*self._without_machine(), *spelled, *words], folder, netdevs, serial_ports=0)
        try:
            qemu.wait_until_running(self.pace.seconds(4.0))
            return LaunchAttempt(True, None, qemu.said, qemu.complaints)
        except LaunchFailed as failure:
            return LaunchAttempt(False, failure.status, failure.message, failure.complaints)
        finally:
            self._note_warnings(qemu, [*names, *spelled, *words])
            qemu.quit()
            shutil.rmtree(folder, ignore_errors=True)

    def _without_machine(self) -> list[str]:
        words = [str(self.qemu.path), "-nodefaults", "-no-user-config", "-display", "none", "-accel", "tcg"]
        return [*words, "-M", "none"]

    def attach(self, netdev: Netdev) -> "Peer":
        """A scapy peer at the other end of a backend: real QEMU, no machine, no guest.

        Raises NetdevRefused where QEMU refuses the backend.
        """
        # scapy reads the interfaces of wherever it is imported.
        from qemunet_tests.guest.peer import Peer, joined

        _, folder = self._starter.new_folder("peer")
        try:
            peer = Peer(folder)
        except OSError as error:
            shutil.rmtree(folder, ignore_errors=True)
            raise HarnessError(f"no socket can be made in {folder}: {error.strerror or error}") from error
        words = [*self._without_machine(), "-netdev", netdev.spell("net0"), *joined(folder)]
        peer.qemu = self._starter.launch(words, folder, [netdev], serial_ports=0)
        try:
            peer.qemu.wait_until_running(self.pace.seconds(4.0))
        except HarnessError:
            peer.close()
            raise
        self._count("peers")
        return peer

    def attach_terminal(self, nics: tuple[Nic, ...], words: Sequence[str], **streams: object) -> Process:
        """Boot a guest for a person: QEMU's standard streams are its console, with the monitor behind Ctrl-A.

        `words` are appended to the command line; `streams` are those of subprocess. The caller ends the process.
        """
        name, folder = self._starter.new_folder("shell")
        # His own words may name files where he is; else nothing that lies there is to be taken for firmware.
        streams = streams if words else {"cwd": folder, **streams}
        guest_words = self._by_hand(name, nics, tuple(nic.mac or self._new_mac() for nic in nics))
        capabilities = self._starter.capabilities([nic.netdev for nic in nics])
        return self._starter.start([*guest_words, *words], capabilities, **streams)

    def save_evidence(self, folder: Folder) -> list[Path]:
        """Copy what the living guests wrote: console, monitor log, captures, and how to boot them by hand."""
        saved = []
        for guest in self._live:
            guest.write_monitor_log()
            with folder.sub(guest.name) as kept:
                kept.copy_from(guest.folder)
                if guest.template_console:
                    kept.put_before("console.log", guest.template_console.read_bytes())
                self._keep_repro(guest, kept)
                saved.append(kept.path)
        return saved

    def _keep_repro(self, guest: Guest, kept: Folder) -> None:
        """How to boot the same guest by hand, and ask it the same."""
        nics = tuple(replace(nic, mac=mac) for nic, mac in zip(guest.nics, guest.macs, strict=True))
        machine = self.machine
        again = repro.Again(nics, str(self.qemu.path), machine.accel.used, machine.image.name, guest.last_command)
        words = self._by_hand(guest.name, guest.nics, guest.macs)
        script = repro.script(guest.name, words, self._as_built.image, again, in_lab=entered())
        kept.write_whole(repro.FACTS, again.as_json().encode())
        kept.write_whole(repro.SCRIPT, script.encode(), mode=0o755)

    def discard(self, guest: Guest) -> None:
        """End a guest, and forget everything it wrote."""
        self._live.remove(guest)
        self.before_discard(guest)
        guest.close()
        shutil.rmtree(guest.folder, ignore_errors=True)

    def close(self) -> None:
        for guest in list(self._live):
            self.discard(guest)

    def _by_hand(self, name: str, nics: tuple[Nic, ...], macs: tuple[str, ...]) -> list[str]:
        words = [*self._as_built.words(name), *self._as_built.cold()]
        for number, (nic, mac) in enumerate(zip(nics, macs, strict=True)):
            words += nic.spell(f"net{number}", mac)
        return [*words, "-serial", "mon:stdio"]

    def _mac(self, nic: Nic, number: int) -> str:
        # A guest that has its network to itself can keep its template's address. Another one costs a thawed guest
        # 0.1 s under TCG.
        return self._new_mac() if nic.netdev.shares_network else template_mac(number)

    def _new_mac(self) -> str:
        number = next(self._numbers)
        if number > 0xFFFF:
            raise HarnessError("this run has used up its MAC addresses")
        return f"52:54:00:71:{number >> 8:02x}:{number & 0xFF:02x}"


def release_lease(guest: Guest) -> None:
    """Have a guest on a bridge give its lease back to the LAN before it is ended.

    One that has died meanwhile, or is not done in time, keeps it: the next guest of this host has the same MAC and is
    given the same lease again.
    """
    if not any(nic.netdev.shares_network for nic in guest.nics):
        return
    gone = "n=0; while ls /run/qemunet/lease.* >/dev/null 2>&1 && [ $n -lt 40 ]; do usleep 50000; n=$((n+1)); done"
    with contextlib.suppress(HarnessError):
        guest.run(f"qemunet-network release; {gone}", 5)
