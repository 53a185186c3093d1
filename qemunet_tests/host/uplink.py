"""The interface of the default route: what it has that a bridge has to take over with it, and who sees to it.

Sources: ip-address(8), netplan(5), interfaces(5), networkd's /run/systemd/netif/links, NetworkManager's
/run/NetworkManager/devices.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qemunet_tests.host.asking import ask_here, listed
from qemunet_tests.host.files import MACHINE, names_in, read_text
from qemunet_tests.host.network_managers import NETWORK_MANAGER, NETWORKD, Managers

NETPLAN = "netplan"
IFUPDOWN = "ifupdown"
#: Routes that come with an address or from a router by themselves.
_BY_ITSELF = ("kernel", "ra")
#: In the place of the interface's name.
THIS = ""
TABLE = "table"


@dataclass(frozen=True)
class Uplink:
    """`manager` is None where nobody is known to see to it, and `file` is where that one's settings of it are.

    `addresses` are written with their prefix lengths. `routes` are the words that ip(8) takes, behind its option for
    the family and with THIS for the interface. `leased` is whether one of the addresses will expire, as those of DHCP
    do.
    """

    name: str
    mac: str
    manager: str | None = None
    file: str | None = None
    addresses: tuple[str, ...] = ()
    routes: tuple[tuple[str, ...], ...] = ()
    leased: bool = False

    @property
    def gateway(self) -> str | None:
        """That of the default route of IPv4."""
        start = ("-4", "default", "via")
        return next((route[3] for route in self.routes if route[:3] == start and TABLE not in route), None)


def read(name: str, managers: Managers, root: Path = MACHINE) -> Uplink:
    """With another `root` nobody is asked for addresses and routes."""
    manager, file = _manager(name, managers, root)
    mac = read_text(root, f"/sys/class/net/{name}/address") or ""
    if root != MACHINE:
        return Uplink(name, mac, manager, file)
    shown = listed(ask_here, "ip", "-json", "address", "show", "dev", name)
    found = [each for link in shown for each in link.get("addr_info", []) if _moves(each)]
    # Routes with several next hops are listed with those of no interface, and policy rules lead to further tables.
    routes = {family: listed(ask_here, "ip", "-json", family, "route", "show", TABLE, "all") for family in ("-4", "-6")}
    return Uplink(
        name,
        mac,
        manager,
        file,
        tuple(f"{each['local']}/{each['prefixlen']}" for each in found),
        tuple((family, *_spelled(each, name)) for family in routes for each in routes[family] if _is_set(each, name)),
        any(each.get("dynamic") for each in found if each.get("family") == "inet"),
    )


def _moves(address: dict[str, Any]) -> bool:
    return address.get("scope") == "global" and not address.get("temporary")


def _is_set(route: dict[str, Any], name: str) -> bool:
    by_this = any(each.get("dev") == name for each in (route, *route.get("nexthops", [])))
    return by_this and route.get("protocol") not in _BY_ITSELF and "dst" in route


def _spelled(route: dict[str, Any], name: str) -> tuple[str, ...]:
    """The source of a table's routes, and the size of their packets, belong to them as the gateway does."""
    words = [str(route["dst"])]
    hops = route.get("nexthops", [])
    words += [] if hops else _hop(route, name)
    words += ["metric", str(route["metric"])] if route.get("metric") not in (None, 1024) else []
    words += ["src", str(route["prefsrc"])] if "prefsrc" in route else []
    words += [TABLE, str(route[TABLE])] if TABLE in route else []
    for metrics in route.get("metrics", []):
        words += [word for which in ("mtu", "advmss") if which in metrics for word in (which, str(metrics[which]))]
    for hop in hops:
        words += ["nexthop", *_hop(hop, name), "weight", str(hop.get("weight", 1))]
    return tuple(words)


def _hop(hop: dict[str, Any], name: str) -> list[str]:
    """By whom, by which interface, and whether he is reached there whatever the addresses say."""
    other = hop.get("via", {})
    gateway = hop.get("gateway") or f"{other.get('family', '')} {other.get('host', '')}".strip()
    words = ["via", *gateway.split(" ")] if gateway else []
    words += ["dev", THIS if hop.get("dev") == name else str(hop.get("dev"))]
    return [*words, *(["onlink"] if "onlink" in hop.get("flags", []) else [])]


def _manager(name: str, managers: Managers, root: Path) -> tuple[str | None, str | None]:
    """Who sees to the interface, and in which file."""
    index = read_text(root, f"/sys/class/net/{name}/ifindex") or ""
    for described in _netplan_files(root):
        text = read_text(root, described)
        # Others than root may not read it; what it leaves to NetworkManager is in no section of its own.
        if text is None or re.search(r"^\s*(ethernets|bonds|vlans)\s*:", text, re.MULTILINE):
            return NETPLAN, described
    if NETWORK_MANAGER in managers.running and _is_network_managers(root, index):
        return NETWORK_MANAGER, None
    if NETWORKD in managers.running and (file := _networkds_file(root, index)):
        return NETWORKD, file
    places = ["/etc/network/interfaces", *(f"/etc/network/interfaces.d/{each}" for each in _stanzas(root))]
    found = (place for place in places if re.search(rf"^\s*iface\s+{re.escape(name)}\s", _text(root, place), re.M))
    return (IFUPDOWN, place) if (place := next(found, None)) else (None, None)


def _is_network_managers(root: Path, index: str) -> bool:
    said = read_text(root, f"/run/NetworkManager/devices/{index}")
    # Where it tells nobody, it is taken to see to what has the default route.
    return said is None or re.search(r"^managed=(true|unknown)$", said, re.MULTILINE) is not None


def _networkds_file(root: Path, index: str) -> str | None:
    said = _text(root, f"/run/systemd/netif/links/{index}")
    found = re.search(r"^NETWORK_FILE=(.+)$", said, re.MULTILINE)
    return found[1] if found and not re.search(r"^ADMIN_STATE=unmanaged$", said, re.MULTILINE) else None


def _netplan_files(root: Path) -> list[str]:
    return [f"/etc/netplan/{each}" for each in names_in(root, "/etc/netplan") if each.endswith(".yaml")]


def _stanzas(root: Path) -> list[str]:
    return names_in(root, "/etc/network/interfaces.d")


def _text(root: Path, path: str) -> str:
    return read_text(root, path) or ""
