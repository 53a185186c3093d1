"""Stream mode: `-netdev stream`, frames over a connection between two QEMUs, or from QEMU to a program that takes them.

Source: QEMU's manual page, `-netdev stream`; since QEMU 7.2.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from qemunet_tests.host.obstacle import Obstacle
from qemunet_tests.modes.mode import Mode, Way, Wiring
from qemunet_tests.qemu.netdev import Netdev
from qemunet_tests.qemu.qemu_facts import Qemu

if TYPE_CHECKING:
    from qemunet_tests.isolation.identity import Identity
    from qemunet_tests.network import Lab

#: Ports of the host's loopback at which QEMU waits for another, upwards from here.
FIRST_PORT = 7200
#: Addresses at the connection's two ends, where nobody leases any.
NEAR, FAR = "10.0.4.1", "10.0.4.2"


@dataclass(frozen=True)
class StreamPair(Netdev):
    """One end of a TCP connection on the loopback between two QEMUs: one listens, the other calls.

    TCP because the kernel counts what such a connection carries.
    """

    port: int
    listens: bool

    kind = "stream"

    def spell(self, identifier: str) -> str:
        side = "on" if self.listens else "off"
        return f"stream,id={identifier},server={side},addr.type=inet,addr.host=127.0.0.1,addr.port={self.port}"


def missing(qemu: Qemu) -> Obstacle | None:
    """A QEMU from before 7.2."""
    if "stream" in qemu.netdevs:
        return None
    return Obstacle(f"{qemu.path} has no -netdev stream", "upgrade QEMU to 7.2 or later")


def _between_guests(lab: "Lab", _identity: "Identity") -> Wiring:
    port = lab.host.free_port("tcp", FIRST_PORT)
    return Wiring(StreamPair(port, listens=False), far=StreamPair(port, listens=True), addresses=(NEAR, FAR))


MODE = Mode(
    "stream",
    ways={
        "stream": Way(
            "-netdev stream between two guests",
            "stream",
            _between_guests,
            between_guests=True,
            missing=missing,
            largest_frame_bytes=65000,
        )
    },
    rank=4,
)
