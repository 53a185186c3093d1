"""A route with several next hops, of which one is dead: what the kernel's hash hands to that one is lost."""

import os
from dataclasses import replace

from qemunet_tests.diagnosis.failure import Failure
from qemunet_tests.diagnosis.lost_frame import arp_answers, routes, search
from qemunet_tests.host import flow_lookup
from qemunet_tests.host.flow_lookup import DividedRoute
from qemunet_tests.host.next_hops import NextHop
from qemunet_tests.host.obstacle import Obstacle
from qemunet_tests.host.policy_rules import RoutedPacket
from qemunet_tests.host.route_lookup import neighbour, route_of
from qemunet_tests.isolation.station import Station
from qemunet_tests.network.target import Endpoint

#: Ports to call from, of which every hop has some, as good as always. They are none that programs are given unasked.
SOURCE_PORTS = range(28701, 28765)


def handed_to_a_dead_hop(failure: Failure) -> Obstacle | None:
    """That this flow was handed there is the kernel's own word, or else shown by connections of this host's own."""
    service, station = routes.sent_to(failure), failure.bench.station
    if service is None:
        return None
    packet = RoutedPacket(service.address, failure.bench.identity.uid, _by(failure, service))
    parts = flow_lookup.divided(station.ask, flow_lookup.as_sent(station.ask, packet))
    if parts is None:
        return None
    if parts.by_ports:
        return _by_some_ports(failure, service, parts)
    taken = parts.taken(station.ask)
    why = _dead(station, taken, service.address) if taken else None
    if taken is None or why is None:
        return None
    if unheard := _answers_past_the_kernel(failure, taken, service.address):
        return unheard
    return Obstacle(
        f"what user {packet.uid}, whom QEMU belongs to, sends to {service.address} is handed to "
        f"{taken.gateway or service.address}, {why}; by {route_of(station.ask, parts.packet)}",
        flow_lookup.mended_by(station.ask, parts, taken, _living(station, parts, service.address)),
    )


def _by(failure: Failure, service: Endpoint) -> tuple[str, int] | None:
    """The protocol and port of what the claim is about; None for a ping."""
    if "TCP" in service.protocols and search.is_about(failure, "tcp"):
        return "tcp", service.port
    return ("udp", service.port) if search.is_about(failure, "udp") else None


def _dead(station: Station, hop: NextHop, address: str) -> str | None:
    """Why what is handed to a hop is lost: the kernel says so after the claim, and again when it is asked now."""
    why = flow_lookup.dead(station.ask, hop, address)
    if why is None or hop.without_carrier:
        return why
    return None if routes.is_there(station, hop.gateway or address, hop.link) else why


def _living(station: Station, parts: DividedRoute, address: str) -> list[NextHop]:
    """Hops that answer when they are asked."""
    carrying = (each for each in parts.hops if not each.without_carrier)
    return [each for each in carrying if routes.is_there(station, each.gateway or address, each.link)]


def _answers_past_the_kernel(failure: Failure, hop: NextHop, address: str) -> Obstacle | None:
    """Somebody who is there, and whom this host's kernel does not hear."""
    found = neighbour(failure.bench.station.ask, hop.gateway or address, hop.link)
    return arp_answers.trouble(failure, found) if found and not hop.without_carrier else None


def _by_some_ports(failure: Failure, service: Endpoint, parts: DividedRoute) -> Obstacle | None:
    """Where the hash looks at ports, the one that QEMU called from is not known: others show what becomes of them."""
    station = failure.bench.station
    if not parts.packet.service or parts.packet.service[0] != "tcp" or not parts.packet.source:
        return None
    own = replace(parts, packet=replace(parts.packet, uid=os.geteuid()))
    ports = {hop: port for port in SOURCE_PORTS if (hop := own.taken(station.ask, port))}
    # The kernel asks for whom it has to hand something to.
    called = {hop: routes.opens(station, service, parts.packet.source, port) for hop, port in ports.items()}
    lost = [hop for hop in called if not called[hop] and _dead(station, hop, service.address)]
    living = [hop for hop in called if called[hop]]
    if not lost or not living or len(lost) + len(living) < len(parts.hops):
        return None
    taken, other = lost[0], living[0]
    if unheard := _answers_past_the_kernel(failure, taken, service.address):
        return unheard
    why = flow_lookup.dead(station.ask, taken, service.address)
    return Obstacle(
        f"what this host sends to {service} from some ports, as {ports[taken]}, is handed to "
        f"{taken.gateway or service.address}, {why}, and from others, as {ports[other]}, is answered by way of "
        f"{other.gateway or other.link} (fib_multipath_hash_policy); by {route_of(station.ask, parts.packet)}",
        flow_lookup.mended_by(station.ask, parts, taken, living),
    )
