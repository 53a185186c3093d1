"""Faults of what user networking lives through: a monitor that does not stop a machine, and frames of one kind."""

from typing import TYPE_CHECKING, Any

from meta_tests.faults.fault import fault
from meta_tests.faults.frames import FROM_QEMU, FrameShim
from qemunet_tests.network import lab_addresses

if TYPE_CHECKING:
    # scapy reads the machine's interfaces when it is imported: not before the lab has been entered.
    from qemunet_tests.guest.peer import Peer

TOPIC = ("user/stop-cont", "user/migrate", "user/sandbox")


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


@fault("user/migrate", cause=r"second, third and first client get 10\.0\.2\.16, 10\.0\.2\.99, 10\.0\.2\.15",
       sentinels=_others("user/migrate"))  # fmt: skip
def third_lease_is_another(wire: FrameShim) -> None:
    """Who comes third is told another address than is kept for him."""
    wire.alter(FROM_QEMU, {"BOOTP.op": 2, "BOOTP.yiaddr": "10.0.2.17"}, {"BOOTP.yiaddr": "10.0.2.99"})


@fault("user/sandbox", cause="in the sandbox a guest has a lease, TCP$", sentinels=_others("user/sandbox"))
def datagrams_spoilt(wire: FrameShim) -> None:
    """What comes back by UDP is not what was sent."""
    service = {"UDP.sport": lab_addresses.LOOPBACK_PORT}
    wire.alter(FROM_QEMU, service, {"Raw.load": lambda load: load[:-1] + bytes([load[-1] ^ 0xFF])})
