"""Starting guests: their command line, MAC addresses and captures, on one machine at one station."""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from qemunet_tests.errors import HarnessError
from qemunet_tests.guest.guest import Guest
from qemunet_tests.guest.template import as_in_template, device_mac
from qemunet_tests.guest.template import mac as template_mac
from qemunet_tests.isolation.processes import Process
from qemunet_tests.isolation.station import Station
from qemunet_tests.qemu.command_line import QemuProcess
from qemunet_tests.qemu.guest_machine import GuestMachine
from qemunet_tests.qemu.launcher import Launcher
from qemunet_tests.qemu.netdev import Netdev, Nic
from qemunet_tests.qemu.qemu_facts import Qemu
from qemunet_tests.timeouts import Pace

#: Told a NIC and its number, answers with the MAC address it is to have.
ChooseMac = Callable[[Nic, int], str]


class MacPool:
    """MAC addresses that no other guest of this run has."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)

    def choose(self, nic: Nic, number: int) -> str:
        """A guest that has its network to itself can keep its template's address. Another one costs a thawed guest
        0.1 s under TCG."""
        return self.new() if nic.netdev.shares_network else template_mac(number)

    def new(self) -> str:
        number = next(self._numbers)
        if number > 0xFFFF:
            raise HarnessError("this run has used up its MAC addresses")
        return f"52:54:00:71:{number >> 8:02x}:{number & 0xFF:02x}"


class GuestRegistry(Protocol):
    """Where guests are kept while they live."""

    def add(self, guest: Guest) -> None: ...

    def discard(self, guest: Guest) -> None: ...


@dataclass(frozen=True)
class GuestLauncher:
    """`as_built` is the machine with its image where people find it, for command lines that outlive the run.

    `to_come` are backends that a guest is given while it runs, for which QEMU may need capabilities when it starts.
    """

    machine: GuestMachine
    as_built: GuestMachine
    launcher: Launcher
    pace: Pace
    captures: bool
    choose_mac: ChooseMac
    pool: MacPool
    note: Callable[[str], None]
    to_come: tuple[Netdev, ...] = ()

    def varied(
        self, station: Station | None, qemu: Qemu | None, captures: bool | None, to_come: tuple[Netdev, ...]
    ) -> "GuestLauncher":
        """The same with something else where that is not None."""
        return replace(
            self,
            machine=replace(self.machine, qemu=qemu) if qemu else self.machine,
            launcher=self.launcher.at(station) if station else self.launcher,
            captures=self.captures if captures is None else captures,
            to_come=to_come,
        )

    def start(
        self, nics: tuple[Nic, ...], machine_words: Sequence[str], registry: GuestRegistry, thawed: bool = False
    ) -> Guest:
        """Start a guest and put it among the living. Raises NetdevRefused, LaunchFailed, TimedOut, Unavailable."""
        name, folder = self.launcher.new_folder("guest")
        macs = tuple(nic.mac or self.choose_mac(nic, number) for number, nic in enumerate(nics))
        words = [*self.machine.words(name), *machine_words]
        for number, (nic, mac) in enumerate(zip(nics, macs, strict=True)):
            words += _thawed(nic, number, mac) if thawed else nic.spell(f"net{number}", mac)
            # QEMU's filters see nothing of what passes by the guest's own memory, and refuse such a backend.
            if self.captures and not nic.netdev.shares_memory:
                capture = self.launcher.give(folder / f"net{number}.pcap")
                words += ["-object", f"filter-dump,id=wire{number},netdev=net{number},file={capture}"]
        qemu = self.launcher.launch(words, folder, [*(nic.netdev for nic in nics), *self.to_come])
        guest = Guest(name, qemu, nics, macs, self.pace, self.machine.image.guest.tools)
        registry.add(guest)
        try:
            qemu.wait_until_running(self.pace.seconds(4.0))
        except HarnessError:
            registry.discard(guest)
            raise
        self.note_warnings(qemu)
        return guest

    def note_warnings(self, qemu: QemuProcess, tried: Sequence[str] = ()) -> None:
        """What QEMU warns of may be an error in its next version; not noted is what it says of what is `tried`."""
        for warning in qemu.complaints.warnings:
            if not any(word in warning for word in tried):
                self.note(f"QEMU {self.machine.qemu.version} warns: {warning}")

    def attach_terminal(self, nics: tuple[Nic, ...], words: Sequence[str], **streams: Any) -> Process:
        """Boot a guest whose console and monitor are QEMU's standard streams. The caller ends the process.

        Without another `cwd` it is in a folder of its own, where nothing is taken for firmware.
        """
        name, folder = self.launcher.new_folder("shell")
        guest_words = by_hand(self.as_built, name, nics, tuple(nic.mac or self.pool.new() for nic in nics))
        capabilities = self.launcher.capabilities([nic.netdev for nic in nics])
        return self.launcher.start_qemu([*guest_words, *words], folder, capabilities=capabilities, **streams)


def _thawed(nic: Nic, number: int, mac: str) -> list[str]:
    return as_in_template(nic.model, nic.spell(f"net{number}", device_mac(nic.model, number, mac)))


def by_hand(machine: GuestMachine, name: str, nics: tuple[Nic, ...], macs: tuple[str, ...]) -> list[str]:
    """The words that boot such a guest on a terminal."""
    words = [*machine.words(name), *machine.booting(nic.netdev for nic in nics)]
    for number, (nic, mac) in enumerate(zip(nics, macs, strict=True)):
        words += nic.spell(f"net{number}", mac)
    return [*words, "-serial", "mon:stdio"]
