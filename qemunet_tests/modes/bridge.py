"""Bridged mode: `-netdev bridge`, a tap that qemu-bridge-helper makes and puts into a bridge."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from qemunet_tests.modes.mode import Mode, Way, Wiring
from qemunet_tests.network.fixed_mac import fixed_mac
from qemunet_tests.qemu.netdev import Netdev


@dataclass(frozen=True)
class BridgeNetdev(Netdev):
    """A tap in the bridge `name`, which QEMU is not told where it is not `named`.

    Where the helper's setuid bit has no effect, QEMU is given what the bit would give the helper, unless `unaided`.
    With `admin` it has that in any case, as root in a container may.
    """

    name: str = "br0"
    options: tuple[str, ...] = ()
    unaided: bool = False
    named: bool = True
    admin: bool = False

    kind = "bridge"

    @property
    def bridge(self) -> str:  # type: ignore[override]  # a name of its own for every netdev
        return self.name

    def spell(self, identifier: str) -> str:
        chosen = (f"br={self.name}",) if self.named else ()
        return ",".join([f"bridge,id={identifier}", *chosen, *self.options])

    def capabilities_needed(self, helper_serves: Callable[[], bool]) -> tuple[str, ...]:
        if self.admin:
            return ("net_admin",)
        # As documented. Where the bit has no effect, QEMU is given the one capability that it would give the helper.
        return () if self.unaided or helper_serves() else ("net_admin",)


netdev = BridgeNetdev


def _announced(bridge: str | None, peer: str) -> Sequence[str]:
    if bridge is None:
        return ("bridge mode: nothing; no bridge was named (--bridge NAME)",)
    return (
        f"bridge mode: frames of {fixed_mac('bridge')}, one guest at a time, on {bridge} and whatever it leads to:",
        "  DHCP   discover, request and release, by broadcast and to the server that answers",
        "         where no offer comes and root looks for the cause, once more with the uplink's own address on it",
        "  ARP    for its gateway and for this host, and a probe whether anybody else has its address",
        "  ICMP   echo requests to its gateway, small and of full size, and to this host",
        "  IPv6   router solicitation, neighbour discovery and multicast listener reports of its link-local address",
        f"  {peer}",
        f"and from this host to the guest's address on {bridge}: ARP, ICMP echo requests, TCP to ports 22 and 34567",
    )


MODE = Mode(
    "bridge",
    ways={
        "bridge": Way(
            "-netdev bridge: a tap on br0, made by qemu-bridge-helper",
            "tap",
            lambda _lab, _identity: Wiring(netdev()),
        ),
        "bridge-guests": Way(
            "two guests, each by -netdev bridge",
            "tap",
            lambda _lab, _identity: Wiring(netdev(), far=netdev()),
            between_guests=True,
        ),
    },
    rank=1,
    shares_network=True,
    announced=_announced,
)
