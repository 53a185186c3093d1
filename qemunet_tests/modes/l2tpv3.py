"""L2TPv3 mode: `-netdev l2tpv3`, every frame in a packet of a static L2TPv3 tunnel, by UDP or by IP itself.

Sources: QEMU's manual page, `-netdev l2tpv3`; RFC 3931. The session header that QEMU writes: over UDP the flags
0x00030000, then the session, the cookie, a counter and an offset where these are asked for.
"""

from collections.abc import Callable
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
FIRST_PORT = 7500
#: Addresses of the guests at the two ends: nobody leases any.
NEAR, FAR = "10.0.7.1", "10.0.7.2"


@dataclass(frozen=True)
class TunnelEnd(Netdev):
    """One end of a tunnel by UDP on the loopback: its port and session, and the other's."""

    source_port: int
    destination_port: int
    tx_session: int = 1
    rx_session: int | None = None
    options: tuple[str, ...] = ()
    address: str = "127.0.0.1"

    kind = "l2tpv3"

    def spell(self, identifier: str) -> str:
        words = [f"l2tpv3,id={identifier},src={self.address},dst={self.address},udp=on"]
        words += [f"srcport={self.source_port},dstport={self.destination_port},txsession={self.tx_session}"]
        words += [f"rxsession={self.rx_session}"] if self.rx_session is not None else []
        return ",".join([*words, *self.options])


@dataclass(frozen=True)
class IpTunnelEnd(Netdev):
    """One end of a tunnel by IP itself between two addresses, of one session both ways. Its socket is a raw one."""

    source: str
    destination: str

    kind = "l2tpv3"

    def spell(self, identifier: str) -> str:
        return f"l2tpv3,id={identifier},src={self.source},dst={self.destination},txsession=1,rxsession=1"

    def capabilities_needed(self, helper_serves: Callable[[], bool]) -> tuple[str, ...]:  # noqa: ARG002
        return ("net_raw",)


def tunnel(host: "Station", *options: str, address: str = "127.0.0.1") -> tuple[TunnelEnd, TunnelEnd]:
    """Both ends, at ports of the host that nobody uses. `options` are those of either end."""
    near, far = (host.free_port("udp", FIRST_PORT) for _ in range(2))
    return TunnelEnd(near, far, 1, 2, options, address), TunnelEnd(far, near, 2, 1, options, address)


def missing(qemu: Qemu) -> Obstacle | None:
    """A QEMU that was built without it, as for systems other than Linux."""
    if "l2tpv3" in qemu.netdevs:
        return None
    return Obstacle(f"{qemu.path} has no -netdev l2tpv3", "install a QEMU for Linux that has it")


def _between_guests(lab: "Lab", _identity: "Identity") -> Wiring:
    near, far = tunnel(lab.host)
    return Wiring(near, far=far, addresses=(NEAR, FAR))


MODE = Mode(
    "l2tpv3",
    ways={
        "l2tpv3": Way(
            "-netdev l2tpv3 between two guests, by UDP", "l2tpv3", _between_guests, between_guests=True, missing=missing
        )
    },
    rank=9,
)
