"""Which way the kernel sends what a user of this host sends to an address, and which rule and route decide it.

The kernel is asked: that takes no privilege and sends nothing. Sources: ip-route(8), ip-rule(8), and ip-sysctl.rst of
the kernel's documentation for rp_filter.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_interface, ip_network
from typing import Any

from qemunet_tests.host import next_hops
from qemunet_tests.host.asking import Ask, listed
from qemunet_tests.host.files import MACHINE
from qemunet_tests.host.obstacle import Obstacle
from qemunet_tests.host.policy_rules import DEAD_ENDS, MAIN, PolicyRule, RoutedPacket, Service, family, rules
from qemunet_tests.host.routes import filters_strictly

#: How the kernel says that a packet would not be let in.
_MARTIAN = ("Invalid argument", "Invalid cross-device link")


@dataclass(frozen=True)
class PacketWay:
    """`source` is the address that the packet will bear, `table` the one whose route decided."""

    address: str
    link: str
    gateway: str | None
    source: str | None
    table: str = MAIN


def way(ask: Ask, address: str, uid: int, service: Service = None) -> PacketWay | str:
    """How the kernel would route a packet of a user, or its refusal."""
    return way_of(ask, RoutedPacket(address, uid, service))


def way_of(ask: Ask, packet: RoutedPacket) -> PacketWay | str:
    """The same of any packet."""
    answer = _get(ask, packet.address, *packet.words)
    if isinstance(answer, str):
        return answer
    return PacketWay(
        packet.address, answer["dev"], next_hops.gateway(answer), answer.get("prefsrc"), str(answer.get("table", MAIN))
    )


def link_to(ask: Ask, address: str, uid: int) -> str | None:
    """The interface by which a user's packets to an address leave; None where none does."""
    found = way(ask, address, uid)
    return found.link if isinstance(found, PacketWay) else None


def dead_end(ask: Ask, address: str, uid: int, service: Service = None) -> Obstacle | None:
    """What keeps packets of a user to an address from being routed; None where nothing does."""
    refusal = way(ask, address, uid, service)
    if isinstance(refusal, PacketWay):
        return None
    why, remedy = decisive(ask, RoutedPacket(address, uid, service)) or _no_route(address)
    return Obstacle(f"this host sends nothing to {address} ({refusal}){why}", remedy)


def deciding(ask: Ask, packet: RoutedPacket) -> tuple[PolicyRule, dict[str, Any] | None] | None:
    """The rule that ends a packet's way, or whose table has a route for it, which does not throw it out again."""
    for rule in rules(ask, packet.address):
        if not rule.takes(packet):
            continue
        if rule.action in DEAD_ENDS:
            return rule, None
        route = _route_in(ask, rule, packet.address) if rule.table else None
        if route is not None and route.get("type") != "throw":
            return rule, route
    return None


def route_of(ask: Ask, packet: RoutedPacket) -> str:
    """The route that decides, in words, and the rule by which it is asked, where that is none of the kernel's own."""
    rule, route = deciding(ask, packet) or (None, None)
    if rule is None or route is None:
        return "a route"
    by = "" if rule.table == MAIN else f" table {rule.table}, by {rule}"
    return f"the route {next_hops.spelled(route)}{by}"


def taken_for_own(ask: Ask, address: str, uid: int, service: Service = None) -> Obstacle | None:
    """A route by which this host keeps what is for an address that it has not; None where there is none.

    Whether that is meant, as with a proxy that listens for others, is the caller's to see.
    """
    packet = RoutedPacket(address, uid, service)
    answer = _get(ask, address, *packet.words)
    if isinstance(answer, str) or answer.get("type") != "local" or _has(ask, address):
        return None
    rule, route = deciding(ask, packet) or (None, None)
    if rule is None or route is None or route.get("type") != "local":
        return None
    spelled = f"local {route['dst']} dev {route['dev']} table {rule.table}"
    return Obstacle(
        f"this host takes what it sends to {address} for itself, though it has no such address: so says the route "
        f"{spelled}, by {rule}",
        f"sudo ip {_for_ipv6(address)}route del {spelled}",
    )


def answers_are_refused(ask: Ask, address: str, uid: int) -> str | None:
    """The interface at which the reverse path filter drops what an address answers; None where it comes in.

    The settings are those of the network namespace that the caller stands in.
    """
    out = way(ask, address, uid)
    if isinstance(out, str) or out.source is None or not filters_strictly(MACHINE, out.link):
        return None
    return out.link if _get(ask, out.source, "from", address, "iif", out.link) in _MARTIAN else None


def astray(ask: Ask, address: str, uid: int, service: Service = None, or_meant: bool = True) -> Obstacle | None:
    """A way that leaves by another interface than the one whose network holds the address.

    A route to a part of that network alone may be meant, as a VPN's to its resolver is: left out unless `or_meant`.
    """
    out = way(ask, address, uid, service)
    networks = dict(_networks_with(ask, address))
    at_home = sorted(networks)
    if isinstance(out, str) or not at_home or out.link in at_home or out.link == "lo":
        return None
    packet = RoutedPacket(address, uid, service)
    found = (each for each in rules(ask, address) if each.table == out.table and each.takes(packet))
    rule = next(found, None)
    route = _route_in(ask, rule, address) if rule else None
    narrow = route is not None and _network(route["dst"], address).prefixlen > max(networks.values())
    if narrow and not or_meant:
        return None
    by = f"{rule}, where table {out.table} has " if rule and out.table != MAIN else "the route "
    spelled = f"{route['dst'] if route else address}{f' via {out.gateway}' if out.gateway else ''} dev {out.link}"
    table = "" if out.table == MAIN else f" table {out.table}"
    undone = f"sudo ip {_for_ipv6(address)}route del {spelled}{table}"
    if rule and spelled.startswith("default") and out.table != MAIN:
        undone = f"sudo ip {_for_ipv6(address)}rule add pref {rule.preference - 1} to {address} lookup {MAIN}"
    return Obstacle(
        f"what this host sends to {address} leaves by {out.link}, though the network of {address} is at "
        f"{' and '.join(at_home)}: by {by}{spelled}",
        f"{undone}; whoever set it, as a VPN does, sets it again at its next start: have "
        "that leave out the routes of this host's own network",
    )


def decisive(ask: Ask, packet: RoutedPacket) -> tuple[str, str] | None:
    """The rule or route at which a packet's way ends, and what takes that away; None where there is none.

    What is thrown out of one table may find its way in another, and ends where none has one.
    """
    thrown, asks_main, ip = "", False, f"sudo ip {_for_ipv6(packet.address)}"
    for rule in rules(ask, packet.address):
        if not rule.takes(packet):
            continue
        if rule.action in DEAD_ENDS:
            selector = rule.words.removeprefix("from all ")
            return f": the {rule} says so", f"{ip}rule del pref {rule.preference} {selector}"
        asks_main = asks_main or rule.table == MAIN
        route = _route_in(ask, rule, packet.address) if rule.table else None
        if route is None:
            continue
        spelled = f"{route.get('type')} {route['dst']}{'' if rule.table == MAIN else f' table {rule.table}'}"
        if route.get("type") in DEAD_ENDS:
            return f": the route {spelled} says so", f"{ip}route del {spelled}"
        if route.get("type") != "throw":
            return None
        thrown = thrown or spelled
    if thrown:
        return f": the route {thrown} says so", f"{ip}route del {thrown}"
    if not asks_main:
        return f": no rule looks it up in table {MAIN}", f"{ip}rule add pref 32766 lookup {MAIN}"
    return None


def _no_route(address: str) -> tuple[str, str]:
    add = f"sudo ip {_for_ipv6(address)}route add default via GATEWAY"
    return " by any route", f"{add}, with the address of the LAN's router"


def _route_in(ask: Ask, rule: PolicyRule, address: str) -> dict[str, Any] | None:
    """The narrowest route to an address in the table that a rule names, unless it is too wide for the rule."""
    entries = listed(ask, "ip", "-j", family(address), "route", "show", "table", str(rule.table))
    by_length = [(_network(each["dst"], address).prefixlen, -each.get("metric", 0), each) for each in entries
                 if ip_address(address) in _network(each["dst"], address)]  # fmt: skip
    length, _, route = max(by_length, key=lambda each: each[:2], default=(0, 0, None))
    return route if length > dict(rule.selects).get("suppress_prefixlen", -1) else None


def _network(target: str, address: str) -> IPv4Network | IPv6Network:
    everything = "::/0" if ":" in address else "0.0.0.0/0"
    return ip_network(everything if target == "default" else target)


def links_with_network_of(ask: Ask, address: str) -> list[str]:
    """The interfaces in whose networks an address lies."""
    return sorted(dict(_networks_with(ask, address)))


def _has(ask: Ask, address: str) -> bool:
    """Whether an address is one of this host's own, as all of the loopback's network are."""
    links = listed(ask, "ip", "-j", family(address), "addr", "show")
    own = {each.get("local") for link in links for each in link.get("addr_info", [])}
    return address in own or ip_address(address).is_loopback


def _networks_with(ask: Ask, address: str) -> Iterator[tuple[str, int]]:
    """The same, with the lengths of the networks' prefixes."""
    for link in listed(ask, "ip", "-j", family(address), "addr", "show"):
        for each in link.get("addr_info", []):
            if ip_address(address) in ip_interface(f"{each['local']}/{each['prefixlen']}").network:
                yield link["ifname"], each["prefixlen"]


def _get(ask: Ask, *words: str) -> dict[str, Any] | str:
    answer = ask(["ip", "-j", family(words[0]), "route", "get", *words])
    found = listed(lambda _: answer)
    return found[0] if answer.succeeded and found else answer.complaint.removeprefix("RTNETLINK answers: ")


def _for_ipv6(address: str) -> str:
    return "-6 " if ":" in address else ""


@dataclass(frozen=True)
class Neighbour:
    """What the neighbour table says of an address on one of the links."""

    address: str
    link: str
    mac: str | None
    by_hand: bool
    failed: bool


def next_hop(ask: Ask, address: str, uid: int = 0) -> Neighbour | None:
    """The entry for whoever a packet to an address is handed to; None where there is none."""
    out = way(ask, address, uid)
    return None if isinstance(out, str) else neighbour(ask, out.gateway or address, out.link)


def neighbour(ask: Ask, address: str, link: str) -> Neighbour | None:
    """The entry for an address at a link."""
    for entry in listed(ask, "ip", "-j", family(address), "neigh", "show", "to", address, "dev", link):
        states = entry.get("state", [])
        failed = bool({"FAILED", "INCOMPLETE"} & {*states})
        return Neighbour(address, link, entry.get("lladdr"), "PERMANENT" in states, failed)
    return None
