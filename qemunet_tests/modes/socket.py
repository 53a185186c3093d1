"""Socket mode: `-netdev socket`, the older way in which QEMUs exchange frames: by TCP, by UDP, or on a multicast bus.

Source: QEMU's manual page, `-netdev socket`.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from qemunet_tests.modes.mode import Mode, Way, Wiring
from qemunet_tests.qemu.netdev import Netdev

if TYPE_CHECKING:
    from qemunet_tests.isolation.identity import Identity
    from qemunet_tests.network import Lab

#: Ports of the host's loopback at which QEMU waits for another, upwards from here.
FIRST_PORT = 7400
#: Addresses at the connection's two ends, where nobody leases any.
NEAR, FAR = "10.0.6.1", "10.0.6.2"


@dataclass(frozen=True)
class SocketPair(Netdev):
    """One end of a TCP connection on the loopback between two QEMUs: one listens, the other calls."""

    port: int
    listens: bool

    kind = "socket"

    def spell(self, identifier: str) -> str:
        return f"socket,id={identifier},{'listen' if self.listens else 'connect'}=127.0.0.1:{self.port}"


def pair(port: int) -> tuple[SocketPair, SocketPair]:
    """Who calls and who listens: that one has to be there first."""
    return SocketPair(port, listens=False), SocketPair(port, listens=True)


def _between_guests(lab: "Lab", _identity: "Identity") -> Wiring:
    near, far = pair(lab.host.free_port("tcp", FIRST_PORT))
    return Wiring(near, far=far, addresses=(NEAR, FAR))


MODE = Mode(
    "socket",
    ways={
        "socket": Way(
            "-netdev socket between two guests, by TCP",
            "socket",
            _between_guests,
            between_guests=True,
            largest_frame_bytes=65000,
        )
    },
    rank=6,
)
