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


@dataclass(frozen=True)
class Uplink:
    """`manager` is None where nobody is known to see to it, and `file` is where that one's settings of it are.

    `addresses` are written with their prefix lengths, `routes` as ip(8) takes them but for the device. `leased` is
    whether one of the addresses will expire, as those of DHCP do.
    """

    name: str
    mac: str
    manager: str | None = None
    file: str | None = None
    addresses: tuple[str, ...] = ()
    routes: tuple[str, ...] = ()
    leased: bool = False

    @property
    def gateway(self) -> str | None:
        """That of the default route of IPv4."""
        found = (re.match(r"default via ([0-9.]+)", route) for route in self.routes)
        return next((match[1] for match in found if match), None)


def read(name: str, managers: Managers, root: Path = MACHINE) -> Uplink:
    """With another `root` nobody is asked for addresses and routes."""
    manager, file = _manager(name, managers, root)
    mac = read_text(root, f"/sys/class/net/{name}/address") or ""
    if root != MACHINE:
        return Uplink(name, mac, manager, file)
    shown = listed(ask_here, "ip", "-json", "address", "show", "dev", name)
    found = [each for link in shown for each in link.get("addr_info", []) if _moves(each)]
    routes = (listed(ask_here, "ip", "-json", family, "route", "show", "dev", name) for family in ("-4", "-6"))
    return Uplink(
        name,
        mac,
        manager,
        file,
        tuple(f"{each['local']}/{each['prefixlen']}" for each in found),
        tuple(_spelled(route) for family in routes for route in family if _is_set(route)),
        any(each.get("dynamic") for each in found if each.get("family") == "inet"),
    )


def _moves(address: dict[str, Any]) -> bool:
    return address.get("scope") == "global" and not address.get("temporary")


def _is_set(route: dict[str, Any]) -> bool:
    return route.get("protocol") not in _BY_ITSELF and "dst" in route


def _spelled(route: dict[str, Any]) -> str:
    words = [str(route["dst"])]
    words += ["via", str(route["gateway"])] if "gateway" in route else []
    words += ["metric", str(route["metric"])] if route.get("metric") not in (None, 1024) else []
    return " ".join([*words, *(["onlink"] if "onlink" in route.get("flags", []) else [])])


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
