"""Where the IPv4 packets of this network namespace go, from /proc/net/route.

Sources: proc(5), the kernel's Documentation/networking/ip-sysctl.rst for rp_filter.
"""

import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

from qemunet_tests.host.files import MACHINE, net_table, read_int, read_text
from qemunet_tests.host.obstacle import Obstacle

_REJECT = 0x0200
_COLUMNS = 8
#: RFC 1918: wider than any network that somebody has for his own, and so a part of the whole world, as VPNs write it.
_WIDEST_NETWORK = 8
_SETTINGS = "/proc/sys/net/ipv4/conf"
STRICT = 1
FORWARDS, FORWARDS_FROM = "net.ipv4.ip_forward", "net/ipv4/conf/{}/forwarding"


@dataclass(frozen=True)
class Route:
    """One route; `gateway` is None for a network that is reached directly."""

    interface: str
    network: IPv4Network
    gateway: IPv4Address | None

    @property
    def is_default(self) -> bool:
        return self.network.prefixlen == 0


@dataclass(frozen=True)
class Routes:
    """The routes, and the interfaces that drop what does not come by the way its sender is reached."""

    all: tuple[Route, ...]
    strict: tuple[str, ...] = ()

    @property
    def defaults(self) -> tuple[Route, ...]:
        return tuple(route for route in self.all if route.is_default)

    @property
    def leased_address(self) -> Route | None:
        """The default route of a host that was given one address and no network: its gateway is outside of any."""
        for way in self.defaults:
            to_gateway = [route for route in self.all if not route.is_default and way.gateway in route.network]
            if way.gateway is not None and to_gateway and all(route.network.prefixlen == 32 for route in to_gateway):
                return way
        return None

    def clashing(self, network: IPv4Network) -> Route | None:
        """The narrowest route to a network that meets `network`; one to a part of the whole world leads to none."""
        to_networks = (route for route in self.all if route.network.prefixlen >= _WIDEST_NETWORK)
        found = [route for route in to_networks if route.network.overlaps(network)]
        return max(found, key=lambda route: route.network.prefixlen, default=None)

    def free_network(self, candidates: Iterable[IPv4Network]) -> IPv4Network | None:
        """The first of some networks that no route leads to."""
        return next((network for network in candidates if self.clashing(network) is None), None)


def read(root: Path = MACHINE) -> Routes:
    """The main table, and the settings of the interfaces in it."""
    found = tuple(_rows(net_table(root, "route")))
    interfaces = dict.fromkeys(route.interface for route in found)
    return Routes(found, tuple(name for name in interfaces if filters_strictly(root, name)))


def _rows(table: list[list[str]]) -> Iterator[Route]:
    for words in table:
        if len(words) < _COLUMNS or int(words[3], 16) & _REJECT:
            continue
        gateway = _address(words[2])
        network = IPv4Network((int(_address(words[1])), str(_address(words[7]))), strict=False)
        yield Route(words[0], network, gateway if int(gateway) else None)


def _address(hexadecimal: str) -> IPv4Address:
    # Printed as the number that the processor sees in memory.
    return IPv4Address(int(hexadecimal, 16).to_bytes(4, sys.byteorder))


def filters_strictly(root: Path, interface: str) -> bool:
    """Whether an interface drops what does not come by the way its sender is reached."""
    # The larger of the two counts: strict is 1, loose is 2.
    values = [read_int(root, f"{_SETTINGS}/{name}/rp_filter") or 0 for name in ("all", interface)]
    return max(values) == STRICT


def not_forwarding(sysctl: Callable[[str], str | None], coming_by: str) -> Obstacle | None:
    """A setting by which the kernel passes nothing on, at all or of what comes in at one interface.

    `sysctl` tells what a setting is, or None.
    """
    settings = {FORWARDS: "", FORWARDS_FROM.format(coming_by): f" that come in at {coming_by}"}
    for name, which in settings.items():
        if sysctl(name) == "0":
            return Obstacle(f"this host passes no packets on{which} ({name} is 0)", f"sudo sysctl -w {name}=1")
    return None


def sysctl_here(name: str) -> str | None:
    """A setting of the network namespace that the caller stands in; None where there is no such."""
    return read_text(MACHINE, f"/proc/sys/{name if '/' in name else name.replace('.', '/')}")
