"""Dgram mode: `-netdev dgram`, every frame a datagram, between two QEMUs or to whoever else takes them.

Source: QEMU's manual page, `-netdev dgram`; since QEMU 7.2.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from qemunet_tests.host.obstacle import Obstacle
from qemunet_tests.modes.mode import Mode, Way, Wiring
from qemunet_tests.qemu.netdev import Netdev
from qemunet_tests.qemu.qemu_facts import Qemu

if TYPE_CHECKING:
    from qemunet_tests.isolation.identity import Identity
    from qemunet_tests.isolation.station import Station
    from qemunet_tests.network import Lab

#: UDP ports of the host's loopback, upwards from here.
FIRST_PORT = 7300
#: Addresses of the guests at the two ends: nobody leases any.
NEAR, FAR = "10.0.5.1", "10.0.5.2"


@dataclass(frozen=True)
class DgramEnd(Netdev):
    """One end of a UDP tunnel on the loopback: its own port, and the other's."""

    local_port: int
    remote_port: int

    kind = "dgram"

    def spell(self, identifier: str) -> str:
        ends = (("local", self.local_port), ("remote", self.remote_port))
        spelled = (f"{end}.type=inet,{end}.host=127.0.0.1,{end}.port={port}" for end, port in ends)
        return ",".join([f"dgram,id={identifier}", *spelled])


def tunnel(host: "Station") -> tuple[DgramEnd, DgramEnd]:
    """Both ends, at ports of the host that nobody uses."""
    near, far = (host.free_port("udp", FIRST_PORT) for _ in range(2))
    return DgramEnd(near, far), DgramEnd(far, near)


def _missing(qemu: Qemu) -> Obstacle | None:
    """A QEMU from before 7.2."""
    if "dgram" in qemu.netdevs:
        return None
    return Obstacle(f"{qemu.path} has no -netdev dgram", "upgrade QEMU to 7.2 or later")


def _between_guests(lab: "Lab", _identity: "Identity") -> Wiring:
    near, far = tunnel(lab.host)
    return Wiring(near, far=far, addresses=(NEAR, FAR))


def _announced(_bridge: str | None, _peer: str) -> Sequence[str]:
    return (f"dgram mode: nothing; two QEMUs talk over UDP ports of 127.0.0.1, from {FIRST_PORT} upwards",)


MODE = Mode(
    "dgram",
    ways={
        "dgram": Way(
            "-netdev dgram between two guests, by UDP",
            "dgram",
            _between_guests,
            between_guests=True,
            missing=_missing,
            largest_frame_bytes=65000,
        )
    },
    rank=5,
    announced=_announced,
)
