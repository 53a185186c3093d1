"""Faults of what user networking lives through: a monitor that does not stop a machine, and frames of one kind."""

import re
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from meta_tests.faults.fault import fault
from meta_tests.faults.frames import FROM_QEMU, FrameShim
from meta_tests.faults.monitor import carry_out
from meta_tests.faults.wrapper import alter_qemu, without_pair
from qemunet_tests.network import Lab, lab_addresses

if TYPE_CHECKING:
    # scapy reads the machine's interfaces when it is imported: not before the lab has been entered.
    from qemunet_tests.guest.peer import Peer

TOPIC = ("user/stop-cont", "user/migrate", "user/savevm", "user/sandbox")


def _others(claim: str) -> tuple[str, ...]:
    return (*(each for each in TOPIC if each != claim), "user/dhcp-server-is-gateway")


@fault("user/stop-cont", cause="frames pass while the machine is stopped", sentinels=_others("user/stop-cont"))
def machine_not_stopped(peer: "Peer") -> None:
    """A monitor says that it stops the machine, and does not."""
    if peer.qemu is None:
        return
    execute = peer.qemu.monitor.execute

    def swallow(command: str, *words: Any, **arguments: Any) -> Any:
        return {} if command == "stop" else execute(command, *words, **arguments)

    peer.qemu.monitor.execute = swallow


@fault("user/migrate", "user/savevm", cause="client get 10.0.2.16, 10.0.2.99, then nak|lease after that is another",
       sentinels=("user/stop-cont", "user/sandbox", "user/dhcp-server-is-gateway"))  # fmt: skip
def third_lease_is_another(wire: FrameShim) -> None:
    """Who comes third is told another address than is kept for him."""
    wire.alter(FROM_QEMU, {"BOOTP.op": 2, "BOOTP.yiaddr": "10.0.2.17"}, {"BOOTP.yiaddr": "10.0.2.99"})


@fault("user/migrate", cause="refuses what was saved: .*slirp", sentinels=_others("user/migrate"))
def state_of_another_version(lab: Lab) -> None:
    """On the way to another QEMU something marks the state of user networking as one that nobody can read."""

    def otherwise(execute: Callable[..., Any], told: dict[str, Any]) -> Any:
        place = told["uri"].removeprefix("unix:")
        server = socket.socket(socket.AF_UNIX)
        server.bind(f"{place}-between")
        Path(f"{place}-between").chmod(0o666)
        server.listen()
        threading.Thread(target=_marked, args=(server, place), daemon=True).start()
        return execute("migrate", uri=f"unix:{place}-between")

    carry_out("migrate", otherwise)


def _marked(server: socket.socket, place: str) -> None:
    """Pass on what comes, with another version of the section `slirp`: its name, the instance 0, and the version."""
    with server, server.accept()[0] as source, socket.socket(socket.AF_UNIX) as other, source.makefile("rb") as coming:
        state = coming.read()
        other.connect(place)
        other.sendall(re.sub(rb"(slirp\0{7})\x04", rb"\1c", state))


@fault("user/sandbox", cause="in the sandbox a guest has a lease, TCP$", sentinels=_others("user/sandbox"))
def datagrams_spoilt(wire: FrameShim) -> None:
    """What comes back by UDP is not what was sent."""
    service = {"UDP.sport": lab_addresses.LOOPBACK_PORT}
    wire.alter(FROM_QEMU, service, {"Raw.load": lambda load: load[:-1] + bytes([load[-1] ^ 0xFF])})


@fault("user/savevm", cause=r"second, third and first client get 10\.0\.2\.16, 10\.0\.2\.18, 10\.0\.2\.15",
       sentinels=_others("user/savevm"))  # fmt: skip
def nothing_loaded(peer: "Peer") -> None:
    """A monitor saves once more where it is to load."""
    if peer.qemu is None:
        return
    execute = peer.qemu.monitor.execute

    def save_instead(command: str, *words: Any, **arguments: Any) -> Any:
        if command != "snapshot-load":
            return execute(command, *words, **arguments)
        return execute("snapshot-save", *words, **{**arguments, "tag": "again"})

    peer.qemu.monitor.execute = save_instead


@fault("user/sandbox-spawn", cause="in the sandbox a command was started", sentinels=_others("user/sandbox-spawn"))
def started_all_the_same(lab: Lab) -> None:
    """A management tool leaves out the sandbox where a guest forward starts a command."""

    def without_sandbox(words: list[str]) -> list[str]:
        forward = any("guestfwd=" in word for word in words)
        return without_pair(words, "-sandbox") if forward and "-sandbox" in words else words

    alter_qemu(lab, without_sandbox)
