"""Bridges and what is plugged into them, from sysfs.

/sys shows the network namespace it was mounted in: inside the lab it needs a mount of its own.
Source: the kernel's Documentation/ABI/testing/sysfs-class-net.
"""

import re
from dataclasses import dataclass
from pathlib import Path

from qemunet_tests.host.asking import Ask
from qemunet_tests.host.files import MACHINE, names_in, net_table, read_int, read_text, under

_NET = "/sys/class/net"
_IFF_UP = 1
#: linux/if_bridge.h: what a port does with frames.
_PORT_STATES = ("disabled", "listening", "learning", "forwarding", "blocking")
_CENTISECONDS_A_SECOND = 100


@dataclass(frozen=True)
class BridgePort:
    """An interface in a bridge. `state` is the port's own, not the link's; None where it is in no bridge.

    `driver` and `bond_mode` are those of the card or bond below, None where there is none.
    """

    name: str
    up: bool
    carrier: bool
    state: str | None
    mtu: int
    is_tap: bool
    is_wireless: bool
    has_routes: bool
    driver: str | None = None
    bond_mode: str | None = None


@dataclass(frozen=True)
class HostBridge:
    """Under STP a new port listens for `forward_delay_seconds` and learns for as long before it forwards.

    `filters_ipv4`: frames pass the IPv4 firewall, by this bridge's own setting or by that for all. `port_vlan` is what
    the untagged frames of a new port belong to, None where the bridge knows no VLANs, 0 where they are dropped.
    """

    name: str
    up: bool
    spanning_tree: bool
    forward_delay_seconds: float
    mtu: int
    has_routes: bool
    filters_ipv4: bool
    ports: tuple[BridgePort, ...]
    filters_itself: bool = False
    filters_everywhere: bool = False
    port_vlan: int | None = None

    @property
    def uplinks(self) -> tuple[BridgePort, ...]:
        """Ports that are no guest's."""
        return tuple(port for port in self.ports if not port.is_tap)

    @property
    def families(self) -> tuple[str, ...]:
        """The families of the packet filter that see what the bridge forwards."""
        return ("bridge", "ip", "inet") if self.filters_ipv4 else ("bridge",)

    def port(self, name: str) -> BridgePort | None:
        """The port called `name`; None where that is in no bridge or in another."""
        return next((port for port in self.ports if port.name == name), None)


def read(root: Path = MACHINE) -> tuple[HostBridge, ...]:
    """Every bridge of this network namespace."""
    routed = _routed_interfaces(root)
    filtered = read_int(root, "/proc/sys/net/bridge/bridge-nf-call-iptables") == 1
    names = [name for name in names_in(root, _NET) if under(root, f"{_NET}/{name}/bridge").is_dir()]
    return tuple(_bridge(root, name, routed, filtered) for name in names)


def find(name: str, root: Path = MACHINE) -> HostBridge | None:
    """The bridge called `name`; None where there is none."""
    return next((bridge for bridge in read(root) if bridge.name == name), None)


def port_flags(ask: Ask, name: str) -> dict[str, bool]:
    """What a bridge does with frames of a port, as bridge(8) spells it: `isolated`, `locked`, `flood`, `bcast_flood`...

    sysfs does not have them all. None where it is no port, or bridge(8) is not there.
    """
    said = ask(["bridge", "-d", "link", "show", "dev", name]).text
    return {flag: switch == "on" for flag, switch in re.findall(r"(\w+) (on|off)\b", said)}


def card(name: str, root: Path = MACHINE) -> BridgePort | None:
    """An interface as it would be in a bridge; None where there is no such interface."""
    if not under(root, f"{_NET}/{name}").exists():
        return None
    return _port(root, name, _routed_interfaces(root))


def interfaces(root: Path = MACHINE) -> list[str]:
    """The names of all interfaces of this network namespace."""
    return names_in(root, _NET)


def _bridge(root: Path, name: str, routed: frozenset[str], filtered: bool) -> HostBridge:
    settings = f"{_NET}/{name}/bridge"
    return HostBridge(
        name=name,
        up=_is_up(root, name),
        spanning_tree=bool(read_int(root, f"{settings}/stp_state")),
        forward_delay_seconds=(read_int(root, f"{settings}/forward_delay") or 0) / _CENTISECONDS_A_SECOND,
        mtu=read_int(root, f"{_NET}/{name}/mtu") or 0,
        has_routes=name in routed,
        filters_ipv4=filtered or read_int(root, f"{settings}/nf_call_iptables") == 1,
        ports=tuple(_port(root, port, routed) for port in names_in(root, f"{_NET}/{name}/brif")),
        filters_itself=read_int(root, f"{settings}/nf_call_iptables") == 1,
        filters_everywhere=filtered,
        port_vlan=read_int(root, f"{settings}/default_pvid") if read_int(root, f"{settings}/vlan_filtering") else None,
    )


def _port(root: Path, name: str, routed: frozenset[str]) -> BridgePort:
    folder = f"{_NET}/{name}"
    return BridgePort(
        name=name,
        up=_is_up(root, name),
        carrier=read_int(root, f"{folder}/carrier") == 1,
        state=_state(root, name),
        mtu=read_int(root, f"{folder}/mtu") or 0,
        is_tap=under(root, f"{folder}/tun_flags").exists(),
        is_wireless=_is_wireless(root, name),
        has_routes=name in routed,
        driver=_driver(root, name),
        bond_mode=_bond_mode(root, name),
    )


def _state(root: Path, name: str) -> str | None:
    number = read_int(root, f"{_NET}/{name}/brport/state")
    return None if number is None else _PORT_STATES[number]


def _is_up(root: Path, name: str) -> bool:
    return bool((read_int(root, f"{_NET}/{name}/flags") or 0) & _IFF_UP)


def _is_wireless(root: Path, name: str) -> bool:
    """Also where the port is a VLAN or a bond on top of a wireless interface."""
    if any(under(root, f"{_NET}/{name}/{mark}").exists() for mark in ("phy80211", "wireless")):
        return True
    return any(_is_wireless(root, lower) for lower in _below(root, name))


def _below(root: Path, name: str) -> list[str]:
    """The interfaces that a VLAN or a bond rests on."""
    entries = names_in(root, f"{_NET}/{name}")
    return [entry.removeprefix("lower_") for entry in entries if entry.startswith("lower_")]


def _driver(root: Path, name: str) -> str | None:
    try:
        return under(root, f"{_NET}/{name}/device/driver").readlink().name
    except OSError:
        return next((found for lower in _below(root, name) if (found := _driver(root, lower))), None)


def _bond_mode(root: Path, name: str) -> str | None:
    words = (read_text(root, f"{_NET}/{name}/bonding/mode") or "").split()
    return words[0] if words else next((mode for low in _below(root, name) if (mode := _bond_mode(root, low))), None)


def _routed_interfaces(root: Path) -> frozenset[str]:
    return frozenset(row[0] for row in net_table(root, "route"))
