"""To which of several next hops the kernel hands a flow, and what becomes of it there.

The kernel is asked about the very flow. Sources: ip-sysctl.rst of its documentation for fib_multipath_hash_policy, and
ip_route_connect of its include/net/route.h.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from qemunet_tests.host import next_hops, route_lookup
from qemunet_tests.host.asking import Ask
from qemunet_tests.host.next_hops import NextHop
from qemunet_tests.host.obstacle import Obstacle
from qemunet_tests.host.policy_rules import MAIN, PolicyRule, RoutedPacket, family, rules
from qemunet_tests.host.route_lookup import Neighbour, PacketWay

#: Policies of the hash that look at ports as well, or may.
_BY_PORTS = ("1", "3")
_LOOPBACK = "lo"


@dataclass(frozen=True)
class DividedRoute:
    """A route with several next hops that decides about a packet, and the rule whose table it is in."""

    packet: RoutedPacket
    rule: PolicyRule
    route: dict[str, Any]
    hops: tuple[NextHop, ...]
    by_ports: bool

    def taken(self, ask: Ask, source_port: int = 0) -> NextHop | None:
        """The hop that the packet is handed to; None where that hangs on a port, which is not given."""
        if self.by_ports and not source_port:
            return None
        out = route_lookup.way_of(ask, replace(self.packet, source_port=source_port))
        if isinstance(out, str):
            return None
        return next((each for each in self.hops if (each.gateway, each.link) == (out.gateway, out.link)), None)

    def without(self, ask: Ask, dead: Iterable[NextHop]) -> str | None:
        """The command that leaves the route its other hops; None where none is left."""
        table = str(self.rule.table or MAIN)
        return next_hops.take_out(ask, self.route, table, tuple(dead), family(self.packet.address))


def as_sent(ask: Ask, packet: RoutedPacket) -> RoutedPacket:
    """The packet as it is routed: a connection's way is looked up again with the source that the first way has.

    Datagrams of a socket that is not connected, as QEMU's are, and pings are looked up once.
    """
    if packet.source or packet.service is None or packet.service[0] != "tcp":
        return packet
    first = route_lookup.way_of(ask, packet)
    return replace(packet, source=first.source) if isinstance(first, PacketWay) else packet


def divided(ask: Ask, packet: RoutedPacket) -> DividedRoute | None:
    """The route of a packet, where it has several next hops."""
    rule, route = route_lookup.deciding(ask, packet) or (None, None)
    hops = next_hops.of_route(route) if route else ()
    if rule is None or route is None or len(hops) < 2:
        return None
    return DividedRoute(packet, rule, route, hops, _by_ports(ask, packet.address))


def _by_ports(ask: Ask, address: str) -> bool:
    which = "ipv6" if ":" in address else "ipv4"
    return ask(["cat", f"/proc/sys/net/{which}/fib_multipath_hash_policy"]).text in _BY_PORTS


def handed_to(ask: Ask, packet: RoutedPacket) -> Neighbour | None:
    """The entry for whoever a packet is handed to; None where there is none, or where it cannot be told."""
    packet = as_sent(ask, packet)
    parts = divided(ask, packet)
    if parts and parts.by_ports:
        return None
    out = route_lookup.way_of(ask, packet)
    return None if isinstance(out, str) else route_lookup.neighbour(ask, out.gateway or packet.address, out.link)


def without_carrier(ask: Ask, packet: RoutedPacket) -> Obstacle | None:
    """A next hop behind a link without carrier, to which the kernel goes on to hand its part of what is sent."""
    parts = divided(ask, packet)
    idle = [each for each in parts.hops if each.without_carrier and not each.left_out] if parts else []
    if parts is None or not idle:
        return None
    first = idle[0]
    by_hand = parts.without(ask, [each for each in parts.hops if each.without_carrier])
    look = f"see why {first.link} has no carrier: ip link show dev {first.link}"
    return Obstacle(
        f"{first.link} has no carrier, and one of the next hops of {route_lookup.route_of(ask, packet)} is there",
        f"{by_hand}; for good {look}" if by_hand else look,
    )


def not_passed_on(ask: Ask, packet: RoutedPacket, leaving_by: str) -> Obstacle | None:
    """What keeps a packet that came in at one interface from leaving by another; None where nothing does, or is known.

    That nobody answers ARP is known once the kernel has asked: the packet has to have come before.
    """
    out, rule = route_lookup.way_of(ask, packet), _deciding_unmarked(ask, packet)
    if isinstance(out, str):
        return refused_on_its_way(ask, packet)
    if rule is None:
        return None
    what = f"what comes in at {packet.coming_by} for {packet.address}"
    if parts := divided(ask, packet):
        return _passed_to_dead(ask, parts, what)
    if out.link not in (leaving_by, _LOOPBACK):
        aside = f"pref {max(rule.preference - 1, 0)} iif {packet.coming_by} to {packet.address} lookup {MAIN}"
        return Obstacle(
            f"{what} leaves by {out.link} and not by {leaving_by}, as what this host itself sends there does; by "
            f"{route_lookup.route_of(ask, packet)}",
            f"sudo ip {'-6 ' if ':' in packet.address else ''}rule add {aside}; whoever set that, as a VPN does, sets "
            "it again at its next start: have that leave out these guests",
        )
    hop = route_lookup.neighbour(ask, out.gateway or packet.address, out.link)
    if hop is None or not hop.failed:
        return None
    return Obstacle(
        f"this host hands {what} to {hop.address}, which answers no ARP at {hop.link}; by "
        f"{route_lookup.route_of(ask, packet)}",
        f"see whether {hop.address} is there and running, or mend that route",
    )


def refused_on_its_way(ask: Ask, packet: RoutedPacket) -> Obstacle | None:
    """The rule or route by which a packet that came in at one interface is not passed on to anybody."""
    out, decided = route_lookup.way_of(ask, packet), route_lookup.decisive(ask, packet)
    if not isinstance(out, str) or decided is None or _deciding_unmarked(ask, packet) is None:
        return None
    what = f"what comes in at {packet.coming_by} for {packet.address}"
    return Obstacle(f"this host does not pass on {what} ({out}){decided[0]}", decided[1])


def _deciding_unmarked(ask: Ask, packet: RoutedPacket) -> PolicyRule | None:
    """The rule that decides, unless one before takes packets with a mark: it may have got one, which nobody tells."""
    rule, _ = route_lookup.deciding(ask, packet) or (None, None)
    if rule is None:
        return None
    before = (each for each in rules(ask, packet.address) if each.preference < rule.preference)
    return None if any(each.asks_for_mark for each in before) else rule


def if_marked(ask: Ask, packet: RoutedPacket) -> Iterator[tuple[PolicyRule, PacketWay]]:
    """The other ways that it takes with a mark that a rule before the one that decides asks for, and that rule."""
    usual, (rule, _) = route_lookup.way_of(ask, packet), route_lookup.deciding(ask, packet) or (None, None)
    if rule is None or isinstance(usual, str):
        return
    for each in rules(ask, packet.address):
        if each.preference >= rule.preference or not each.asks_for_mark or not each.mark:
            continue
        out = route_lookup.way_of(ask, replace(packet, mark=each.mark))
        if isinstance(out, PacketWay) and out.link not in (usual.link, _LOOPBACK):
            yield each, out


def _passed_to_dead(ask: Ask, parts: DividedRoute, what: str) -> Obstacle | None:
    """The same where the route has several next hops. Which takes what this host itself sends says nothing of it."""
    taken, address = parts.taken(ask), parts.packet.address
    why = dead(ask, taken, address) if taken else None
    if taken is None or why is None:
        return None
    others = [each for each in parts.hops if each is not taken and dead(ask, each, address) is None]
    return Obstacle(
        f"this host hands {what} to {taken.gateway or address}, {why}; by {route_lookup.route_of(ask, parts.packet)}",
        mended_by(ask, parts, taken, others),
    )


def dead(ask: Ask, hop: NextHop, address: str) -> str | None:
    """Why what is handed to a hop is lost, as far as is known to the kernel; None where it does not know that."""
    if hop.without_carrier:
        return f"and {hop.link} has no carrier"
    found = route_lookup.neighbour(ask, hop.gateway or address, hop.link)
    asked = "neighbour solicitation" if ":" in address else "ARP"
    return f"which answers no {asked} at {hop.link}" if found and found.failed else None


def mended_by(ask: Ask, parts: DividedRoute, taken: NextHop, living: Iterable[NextHop]) -> str:
    """What has a flow handed to somebody who is there."""
    kept = tuple(living)
    there = taken.gateway or parts.packet.address
    look = f"see whether {there} is there and running"
    if taken.without_carrier:
        look = f"see why {taken.link} has no carrier: ip link show dev {taken.link}"
    command = parts.without(ask, [each for each in parts.hops if each not in kept])
    return f"{command}; for good {look}" if command else look


def link_of(ask: Ask, packet: RoutedPacket) -> str | None:
    """The interface by which a packet leaves; None where none does, or where its port or its protocol decides."""
    first = route_lookup.way_of(ask, packet)
    if isinstance(first, str):
        return None
    parts = divided(ask, packet)
    if parts is None or {each.link for each in parts.hops} == {first.link}:
        return first.link
    again = route_lookup.way_of(ask, packet if packet.source else replace(packet, source=first.source))
    return first.link if not parts.by_ports and isinstance(again, PacketWay) and again.link == first.link else None
