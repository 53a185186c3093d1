"""The bench: what can boot guests here, and cleans up behind them."""

import contextlib
import itertools
import shlex
import shutil
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from qemunet_tests.harness.errors import HarnessError
from qemunet_tests.harness.guest import Guest
from qemunet_tests.harness.helper import BridgeHelper, HostHelper
from qemunet_tests.harness.identity import Identity, unprivileged
from qemunet_tests.harness.lab.station import Station
from qemunet_tests.harness.login import Login
from qemunet_tests.harness.machine import Machine
from qemunet_tests.harness.namespaces import scratch
from qemunet_tests.harness.netdev import Backend, Bridge, Netdev, Nic, User
from qemunet_tests.harness.pace import Pace
from qemunet_tests.harness.processes import Process, stop
from qemunet_tests.harness.qemu import LaunchFailed, NetdevRefused, QemuProcess
from qemunet_tests.harness.qemu_facts import Qemu
from qemunet_tests.harness.template import MEMORY, NETWORK, STATE, Template, device_mac, nic_words, save, thaw
from qemunet_tests.harness.templates import Templates

#: How far a thawed guest's clock may be off when it is first asked.
CLOCK_SKEW_SECONDS = 5.0
#: How long a cold boot may take under KVM, before the pace is applied.
BOOT_SECONDS = 12.0


if TYPE_CHECKING:
    from qemunet_tests.harness.wire import Peer


@dataclass(frozen=True)
class Attempt:
    """What became of an attempt to start QEMU: it runs, or it ended with a status and a message."""

    started: bool
    status: int | None
    message: str


def _own_mac(_model: str, _number: int, own: str) -> str:
    return own


class Bench:
    """Boots disposable guests at one station on one machine.

    Guests are thawed from templates unless `cold`. `told` is called with every guest right after it took its first
    command, which is where faults are planted; `note` with what a reader of the report should know, and `announce`
    with what takes long. `dismiss` is called with every guest before it is ended, and `choose_mac` for every NIC that
    brings no address of its own. `identity` and `helper` are those of the real host; without them the lab's.
    """

    def __init__(
        self,
        machine: Machine,
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
        self.station = station
        self.identity = identity or unprivileged()
        self.pace = Pace(machine.accel.slowdown)
        self._count = count
        self.captures = captures
        self.told: Callable[[Guest], None] = lambda _: None
        self.announce: Callable[[str], None] = lambda _: None
        self.dismiss: Callable[[Guest], None] = lambda _: None
        self.choose_mac: Callable[[Nic], str] = lambda _: self._new_mac()
        self.templates = None if cold else Templates(self.machine, self.identity, self._make_template, note)
        self._numbers = itertools.count(1)
        self._live: list[Guest] = []
        self._unseen: list[Guest] = []
        self._literal: dict[Process, Path] = {}
        self.helper = helper or BridgeHelper(machine.qemu.helper_path)

    @property
    def qemu(self) -> Qemu:
        return self.machine.qemu

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
        before, self.station = self.station, station
        try:
            yield
        finally:
            self.station = before

    def boot(self, *nics: Nic, network: bool = True, cold: bool = False) -> Guest:
        """Make a fresh guest and return it once it takes commands: thawed where that is possible, else booted.

        With `network` its DHCP client is under way, without it has none. Raises NetdevRefused where
        QEMU refuses a backend, LaunchFailed, GuestDied and TimedOut where the guest does not come up.
        """
        before = set(self._live)
        try:
            guest = self._made(nics, network, cold)
            self.told(guest)
            return guest
        except BaseException:
            self._unseen += [guest for guest in self._live if guest not in before]
            raise

    def bury(self) -> None:
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
        guest.set_out(thawed=False, network=True)
        self._count("booted")
        self.told(guest)

    def _boot(self, nics: tuple[Nic, ...], network: bool) -> Guest:
        guest = self._start_guest(nics, self.machine.cold(NETWORK))
        guest.wait_until_ready(self.pace.seconds(BOOT_SECONDS))
        guest.set_out(thawed=False, network=network)
        self._count("booted")
        return guest

    def _thaw(self, template: Template, nics: tuple[Nic, ...], network: bool) -> Guest:
        words = [*self.machine.backed(template.memory, shared=False, network=NETWORK), "-incoming", "defer"]
        guest = self._start_guest(nics, words, device_mac)
        try:
            thaw(guest.monitor, template.state, self.pace.seconds(4.0))
            guest.set_out(thawed=True, network=network)
        except HarnessError as error:
            complaints = guest.qemu.complaints
            self.discard(guest)
            raise HarnessError(f"{error} {complaints.splitlines()[0]}" if complaints else str(error)) from error
        return guest

    def _start_guest(
        self, nics: tuple[Nic, ...], machine_words: list[str], spell_mac: Callable[[str, int, str], str] = _own_mac
    ) -> Guest:
        name, folder = self._new_folder("guest")
        macs = tuple(nic.mac or self.choose_mac(nic) for nic in nics)
        words = [*self.machine.words(name), *machine_words]
        for number, (nic, mac) in enumerate(zip(nics, macs, strict=True)):
            identifier = f"net{number}"
            words += nic.spell(identifier, spell_mac(nic.model, number, mac))
            if self.captures:
                words += [
                    "-object",
                    f"filter-dump,id=wire{number},netdev={identifier},file={folder}/{identifier}.pcap",
                ]
        qemu = self._launch(words, folder, [nic.netdev for nic in nics])
        guest = Guest(name, qemu, nics, macs, self.pace)
        self._live.append(guest)
        (folder / "repro.sh").write_text(self._repro(name, nics, macs))
        try:
            qemu.wait_until_running(self.pace.seconds(4.0))
        except HarnessError:
            self.discard(guest)
            raise
        return guest

    def _make_template(self, models: tuple[str, ...]) -> Path:
        """Boot a guest up to the point where it would configure its network, and save it there."""
        name, folder = self._new_folder("template")
        self.announce(f"making a template for guests with {' and '.join(models) or 'no NIC'}: booting one, once")
        try:
            self._save_template(name, folder, models)
            self._prove(Template(folder, models))
        except BaseException:
            # It takes as much room as a guest.
            shutil.rmtree(folder, ignore_errors=True)
            raise
        return folder

    def _save_template(self, name: str, folder: Path, models: tuple[str, ...]) -> None:
        backed = self.machine.backed(folder / MEMORY, shared=True, network=NETWORK)
        qemu = self._launch([*self.machine.words(name), *backed, *nic_words(models)], folder, [])
        guest = Guest(name, qemu, (), (), self.pace)
        try:
            qemu.wait_until_running(self.pace.seconds(4.0))
            guest.wait_until_ready(self.pace.seconds(BOOT_SECONDS))
            guest.settle(within_seconds=6)
            save(guest.monitor, folder / STATE, self.pace.seconds(4.0))
        finally:
            guest.close()

    def _prove(self, template: Template) -> None:
        """Thaw a guest once before anybody relies on it. Raises HarnessError where it is not what a booted one is.

        Accelerators differ in what they save: a guest that is back but whose clock ran wild would spoil every test.
        """
        if "user" not in self.qemu.netdevs:
            return  # nobody here would give it a lease
        guest = self._thaw(template, tuple(Nic(User(), model) for model in template.models), network=True)
        try:
            # QEMU gives each of its backends a network of its own.
            if not all(guest.await_lease(nic, 10) for nic in range(len(template.models))):
                raise HarnessError("a thawed guest gets no lease")
            skew_seconds = abs(int(guest.check("date +%s")) - time.time())
        finally:
            self.discard(guest)
        if skew_seconds > CLOCK_SKEW_SECONDS:
            raise HarnessError(f"a thawed guest's clock is {skew_seconds:.0f} s off")

    def attempt(self, *words: str, netdevs: Sequence[Netdev] = ()) -> Attempt:
        """Start QEMU without a guest, see whether it starts, and end it again.

        `words` are added to a machine that has nothing.
        """
        _, folder = self._new_folder("attempt")
        spelled = [word for n, netdev in enumerate(netdevs) for word in ("-netdev", netdev.spell(f"net{n}"))]
        base = [str(self.qemu.path), "-nodefaults", "-no-user-config", "-display", "none", "-accel", "tcg"]
        qemu = self._launch([*base, "-M", "none", *spelled, *words], folder, netdevs, serial_ports=0)
        try:
            qemu.wait_until_running(self.pace.seconds(4.0))
            return Attempt(True, None, qemu.complaints)
        except LaunchFailed as failure:
            return Attempt(False, failure.status, failure.message)
        finally:
            qemu.quit()
            shutil.rmtree(folder, ignore_errors=True)

    def attach(self, netdev: Netdev) -> "Peer":
        """A scapy peer at the other end of a backend: real QEMU, no machine, no guest.

        Raises NetdevRefused where QEMU refuses the backend.
        """
        # scapy reads the interfaces of wherever it is imported.
        from qemunet_tests.harness.wire import Peer, joined

        _, folder = self._new_folder("peer")
        peer = Peer(folder)
        base = [
            str(self.qemu.path),
            "-nodefaults",
            "-no-user-config",
            "-display",
            "none",
            "-accel",
            "tcg",
            "-M",
            "none",
        ]
        words = [*base, "-netdev", netdev.spell("net0"), *joined(folder)]
        peer.qemu = self._launch(words, folder, [netdev], serial_ports=0)
        try:
            peer.qemu.wait_until_running(self.pace.seconds(4.0))
        except HarnessError:
            peer.close()
            raise
        self._count("peers")
        return peer

    def boot_literally(self, *words: str) -> tuple[Login, Process]:
        """Boot the image's disk with the post's own command line, typed in the folder where `vdisk.img` lies.

        Where KVM is unusable `-enable-kvm` is left out. QEMU's standard input and output are the returned shell,
        which has not booted yet; the caller ends the process by `end_literally`.
        """
        _, folder = self._new_folder("literal")
        try:
            shutil.copyfile(self._as_built.image.vdisk, folder / "vdisk.img")
            self.identity.owns(folder / "vdisk.img")
            return self._start_literally(folder, words)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise

    def boot_diskless(self, *words: str) -> tuple[Login, Process]:
        """The same with the kernel loaded by QEMU: BIOS and boot loader take as long again, and say nothing of NICs."""
        _, folder = self._new_folder("literal")
        try:
            return self._start_literally(folder, [*self.machine.kernel(None), *words])
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise

    def _start_literally(self, folder: Path, words: Sequence[str]) -> tuple[Login, Process]:
        # What these command lines leave unsaid means user networking.
        self.qemu.require_user_backend()
        usable = [word for word in words if word != "-enable-kvm" or self.machine.accel.used == "kvm"]
        ours, theirs = socket.socketpair()
        with theirs:
            process = self._start(
                [str(self.qemu.path), *usable], stdin=theirs.fileno(), stdout=theirs.fileno(), cwd=folder
            )
        self._literal[process] = folder
        self._count("booted")
        return Login(ours, self.pace), process

    def end_literally(self, process: Process) -> None:
        """End what `boot_literally` or `boot_diskless` started, and throw its disk away."""
        stop(process)
        shutil.rmtree(self._literal.pop(process), ignore_errors=True)

    def hand_over(self, nic: Nic, words: Sequence[str], **streams: object) -> Process:
        """Boot a guest for a person: QEMU's standard streams are its console, with the monitor behind Ctrl-A.

        `words` are appended to the command line; `streams` are those of subprocess. The caller ends the process.
        """
        name, _ = self._new_folder("shell")
        guest_words = self._by_hand(name, (nic,), (nic.mac or self._new_mac(),))
        return self._start([*guest_words, *words], self._capabilities([nic.netdev]), **streams)

    def save_evidence(self, folder: Path) -> list[Path]:
        """Copy what the living guests wrote: console, monitor log, captures, and how to boot them by hand."""
        saved = []
        for guest in self._live:
            kept = folder / guest.name
            guest.write_monitor_log()
            shutil.copytree(guest.folder, kept, dirs_exist_ok=True, ignore=_sockets)
            saved.append(kept)
        return saved

    def discard(self, guest: Guest) -> None:
        """End a guest, and forget everything it wrote."""
        self._live.remove(guest)
        self.dismiss(guest)
        guest.close()
        shutil.rmtree(guest.folder, ignore_errors=True)

    def close(self) -> None:
        for guest in list(self._live):
            self.discard(guest)

    def _launch(
        self, words: Sequence[str], folder: Path, netdevs: Sequence[Backend], serial_ports: int = 2
    ) -> QemuProcess:
        capabilities = self._capabilities(netdevs)

        def start(command: Sequence[str], **options: object) -> Process:
            # The server of `smb=` keeps its files where this says: nothing is to be left on the machine.
            return self._start(["env", f"TMPDIR={folder}", *command], capabilities=capabilities, **options)

        try:
            if any(isinstance(netdev, User) for netdev in netdevs):
                self.qemu.require_user_backend()
            return QemuProcess(words, start, folder, serial_ports)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise

    def _start(self, words: Sequence[str], capabilities: tuple[str, ...] = (), **options: object) -> Process:
        return self.station.start([*self.identity.prefix(capabilities), *words], **options)

    def _capabilities(self, netdevs: Sequence[Backend]) -> tuple[str, ...]:
        given = {capability for netdev in netdevs if isinstance(netdev, User) for capability in netdev.capabilities}
        # As the post does. Where the bit has no effect, QEMU is given the one capability that it would give the helper.
        bridged = [netdev for netdev in netdevs if isinstance(netdev, Bridge) and not netdev.unaided]
        if bridged and not self.helper.serves(self.identity.uid):
            given.add("net_admin")
        return tuple(sorted(given))

    def _repro(self, name: str, nics: tuple[Nic, ...], macs: tuple[str, ...]) -> str:
        """A script that boots the same guest by hand, with its console on the terminal."""
        words = shlex.join(self._by_hand(name, nics, macs))
        return f"#!/bin/sh\n# Boots the same guest; leave with Ctrl-A x.\nexec {words}\n"

    def _by_hand(self, name: str, nics: tuple[Nic, ...], macs: tuple[str, ...]) -> list[str]:
        words = [*self._as_built.words(name), *self._as_built.cold()]
        for number, (nic, mac) in enumerate(zip(nics, macs, strict=True)):
            words += nic.spell(f"net{number}", mac)
        return [*words, "-serial", "mon:stdio"]

    def _new_folder(self, kind: str) -> tuple[str, Path]:
        name = f"{kind}-{next(self._numbers)}"
        folder = scratch() / name
        folder.mkdir()
        self.identity.owns(folder)
        return name, folder

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
    if not any(isinstance(nic.netdev, Bridge) for nic in guest.nics):
        return
    gone = "n=0; while ls /run/qemunet/lease.* >/dev/null 2>&1 && [ $n -lt 40 ]; do usleep 50000; n=$((n+1)); done"
    with contextlib.suppress(HarnessError):
        guest.run(f"qemunet-network release; {gone}", 5)


def _sockets(folder: str, names: list[str]) -> list[str]:
    # The SMB server of `smb=` has some, and they cannot be copied.
    return [name for name in names if Path(folder, name).is_socket()]
