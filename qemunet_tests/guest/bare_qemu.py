"""QEMU without a machine: whether it starts at all, or with a scapy peer at the other end of a backend."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from qemunet_tests.errors import HarnessError
from qemunet_tests.guest.guest_launcher import GuestLauncher
from qemunet_tests.qemu.command_line import LaunchFailed
from qemunet_tests.qemu.complaints import Complaints
from qemunet_tests.qemu.netdev import Netdev, netdev_words
from qemunet_tests.qemu.qemu_facts import Qemu
from qemunet_tests.qemu.standstill import again_where_it_stands_still

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


def attempt(
    launcher: GuestLauncher, words: Sequence[str], netdevs: Sequence[Netdev], noted: bool = True
) -> LaunchAttempt:
    """Start QEMU, see whether it starts, and end it again. `words` are added to a machine that has nothing.

    Unless `noted` is false, what it warns of is a note of the report.
    """
    return again_where_it_stands_still(lambda: _attempt(launcher, words, netdevs, noted), launcher.note)


def _attempt(launcher: GuestLauncher, words: Sequence[str], netdevs: Sequence[Netdev], noted: bool) -> LaunchAttempt:
    _, folder = launcher.launcher.new_folder("attempt")
    names = [f"net{number}" for number, _ in enumerate(netdevs)]
    spelled = [word for name, netdev in zip(names, netdevs, strict=True) for word in netdev_words(netdev, name)]
    whole = [*_without_machine(launcher.machine.qemu), *spelled, *words]
    qemu = launcher.launcher.launch(whole, folder, netdevs, serial_ports=0)
    try:
        qemu.wait_until_running(launcher.pace.seconds(4.0))
        return LaunchAttempt(True, None, qemu.said, qemu.complaints)
    except LaunchFailed as failure:
        if qemu.killed:
            # It has refused nothing.
            raise
        return LaunchAttempt(False, failure.status, failure.message, failure.complaints)
    finally:
        if noted:
            launcher.note_warnings(qemu, [*names, *spelled, *words])
        qemu.quit()
        shutil.rmtree(folder, ignore_errors=True)


def attach(launcher: GuestLauncher, netdevs: Sequence[Netdev], further: Sequence[str] = ()) -> "list[Peer]":
    """Scapy peers at the other ends of one QEMU's backends. Raises NetdevRefused where QEMU refuses one.

    `further` words are added to QEMU's command line.
    """
    return again_where_it_stands_still(lambda: _attach(launcher, netdevs, further), launcher.note)


def _attach(launcher: GuestLauncher, netdevs: Sequence[Netdev], further: Sequence[str]) -> "list[Peer]":
    # scapy reads the interfaces of wherever it is imported.
    from qemunet_tests.guest.peer import Peer, joined

    _, folder = launcher.launcher.new_folder("peer")
    words, peers = _without_machine(launcher.machine.qemu), []
    try:
        peers = [Peer(folder, number) for number, _ in enumerate(netdevs)]
    except OSError as error:
        shutil.rmtree(folder, ignore_errors=True)
        raise HarnessError(f"no socket can be made in {folder}: {error.strerror or error}") from error
    for number, netdev in enumerate(netdevs):
        words += [*netdev_words(netdev, f"net{number}"), *joined(folder, number)]
    qemu = launcher.launcher.launch([*words, *further], folder, netdevs, serial_ports=0)
    for peer in peers:
        peer.qemu = qemu
    try:
        qemu.wait_until_running(launcher.pace.seconds(4.0))
    except HarnessError:
        for peer in peers:
            peer.close()
        raise
    return peers


def _without_machine(qemu: Qemu) -> list[str]:
    words = [str(qemu.path), "-nodefaults", "-no-user-config", "-display", "none", "-accel", "tcg"]
    return [*words, "-M", "none"]
