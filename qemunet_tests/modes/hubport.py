"""Hubport mode: `-netdev hubport`, a port of a hub inside QEMU that joins backends and NICs.

Source: QEMU System Emulation User's Guide, "Network emulation", Hubs. A hub is within one QEMU; what leads out of it is
another backend at one of its ports, and that is user networking here.
"""

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

from qemunet_tests.modes import user
from qemunet_tests.modes.mode import Mode, Way, Wiring
from qemunet_tests.qemu.netdev import Netdev

if TYPE_CHECKING:
    from qemunet_tests.isolation.identity import Identity
    from qemunet_tests.network import Lab

#: Numbers that are not those of the hubs to which `-net` and peers' wires are joined; each is given once.
HUB = 10
_numbers = itertools.count(HUB)


@dataclass(frozen=True)
class HubPort(Netdev):
    """A port of the hub `hub`; with `uplink` that backend is at another port of it."""

    hub: int = HUB
    uplink: Netdev | None = None

    kind = "hubport"
    shares_network = False

    def spell(self, identifier: str) -> str:
        return f"hubport,id={identifier},hubid={self.hub}"

    def beside(self, identifier: str) -> tuple[str, ...]:
        if self.uplink is None:
            return ()
        name = f"{identifier}-up"
        return (self.uplink.spell(name), f"hubport,id={name}-port,hubid={self.hub},netdev={name}")


def _to_the_host(_lab: "Lab", _identity: "Identity") -> Wiring:
    return Wiring(HubPort(uplink=user.netdev()))


def _two_ports(_lab: "Lab", _identity: "Identity") -> Wiring:
    hub = next(_numbers)
    return Wiring(HubPort(hub), far=HubPort(hub))


MODE = Mode(
    "hubport",
    ways={"hubport": Way("user networking behind a hub", "hubport", _to_the_host, missing=user.netdev().missing)},
    rank=7,
    network=lambda _target: user.NETWORK,
    pair=Way("two ports of a hub", "hubport", _two_ports, largest_frame_bytes=65000),
)
