"""Causes in the host's own routing and among its neighbours, which guests in user mode share."""

import os
import socket
from contextlib import suppress
from ipaddress import IPv4Interface, ip_address

from qemunet_tests.deadline import Deadline
from qemunet_tests.diagnosis.failure import Failure
from qemunet_tests.diagnosis.lost_frame import own_attempt, search
from qemunet_tests.errors import Unavailable
from qemunet_tests.host import bridges, next_hops, socket_table
from qemunet_tests.host.asking import listed
from qemunet_tests.host.obstacle import Obstacle
from qemunet_tests.host.policy_rules import MAIN, RoutedPacket
from qemunet_tests.host.route_lookup import (
    answers_are_refused,
    astray,
    dead_end,
    link_to,
    links_with_network_of,
    neighbour,
    next_hop,
    route_of,
    taken_for_own,
    way,
)
from qemunet_tests.isolation.station import Station
from qemunet_tests.network.host_target import addresses
from qemunet_tests.network.target import Endpoint
from qemunet_tests.observe.dns import PORT, used_by_qemu
from qemunet_tests.observe.icmp import ping
from qemunet_tests.observe.lease import lease_now

#: RFC 863: whoever listens there answers nothing.
DISCARD = 9
#: Topics of claims for which the host has to send something to somebody.
OF_THE_LAN, OF_THE_OUTSIDE, OF_NAMES = "reach-lan", ("reach", "privilege", "ping", "ping-open", "hops"), "resolver"


def asked_for(failure: Failure) -> str | None:
    """The address that the host has to reach for a claim about user mode; None where there is none."""
    service = sent_to(failure)
    return service.address if service else None


def sent_to(failure: Failure) -> Endpoint | None:
    """The same with its port."""
    if failure.on_lan:
        return None
    try:
        if OF_NAMES in failure.topics:
            return Endpoint(used_by_qemu(), PORT, ("UDP",))
        if OF_THE_LAN in failure.topics:
            return failure.target.neighbour_echo
        return failure.target.far_echo if any(topic in OF_THE_OUTSIDE for topic in failure.topics) else None
    except Unavailable:
        return None


def _by_port(service: Endpoint) -> tuple[str, int]:
    """Rules may be about a protocol and a port."""
    return service.protocols[0].lower(), service.port


def no_way(failure: Failure) -> Obstacle | None:
    """No route, or a route or rule that leads nowhere."""
    service, uid, ask = sent_to(failure), failure.bench.identity.uid, failure.bench.station.ask
    if guest := _guest_of_host(failure):
        return dead_end(ask, guest, os.geteuid())
    return dead_end(ask, service.address, uid, _by_port(service)) if service else None


def taken_by_this_host(failure: Failure) -> Obstacle | None:
    """A route of type local over the address of another machine, where no program here listens in its place."""
    service, station = sent_to(failure), failure.bench.station
    if service is None:
        return None
    found = taken_for_own(station.ask, service.address, failure.bench.identity.uid, _by_port(service))
    with station.entered():
        by: socket_table.Protocol = "tcp" if "TCP" in service.protocols else "udp"
        meant = socket_table.is_answered(by, service.address, service.port)
    return None if meant else found


def by_another_link(failure: Failure) -> Obstacle | None:
    """A route or a table of its own that covers a network of the host's, as a VPN's does, and takes somebody there."""
    service, station, uid = sent_to(failure), failure.bench.station, failure.bench.identity.uid
    if address := _guest_of_host(failure):
        found = astray(station.ask, address, os.geteuid())
    elif service is not None:
        address, found = service.address, astray(station.ask, service.address, uid, _by_port(service))
    if address is None or found is None:
        return None
    links = links_with_network_of(station.ask, address)
    return found if any(is_there(station, address, link) for link in links) else None


def _guest_of_host(failure: Failure) -> str | None:
    """The address of a bridged guest to which this host itself has to send, if only answers; None for all others."""
    got = failure.lan_lease if search.is_with_host(failure) else None
    return got.address if got else None


def is_there(station: Station, address: str, link: str) -> bool:
    """Whether somebody at a link has an address: a word that is sent by that link has the kernel ask for it there."""
    with suppress(OSError), station.open_socket(socket.SOCK_DGRAM, to=address) as asking:
        asking.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, link.encode())
        asking.connect((address, DISCARD))
        asking.send(b"qemunet")

    def told() -> bool:
        found = neighbour(station.ask, address, link)
        return found is not None and found.mac is not None and not found.failed

    return Deadline(1.0, "an answer by ARP").sees(told, interval_seconds=0.1)


def by_way_of_nobody(failure: Failure) -> Obstacle | None:
    """A router to which QEMU's packets are handed, and not this host's own, and that does not answer ARP."""
    service, uid, ask = sent_to(failure), failure.bench.identity.uid, failure.bench.station.ask
    out = way(ask, service.address, uid, _by_port(service)) if service else None
    if service is None or out is None or isinstance(out, str):
        return None
    others = way(ask, service.address, os.geteuid())
    hop = neighbour(ask, out.gateway or service.address, out.link)
    if others == out or hop is None or not hop.failed:
        return None
    by = route_of(ask, RoutedPacket(service.address, uid, _by_port(service)))
    return Obstacle(
        f"what user {uid}, whom QEMU belongs to, sends to {service.address} is handed to {hop.address}, which answers "
        f"no ARP at {hop.link}; by {by}",
        f"see whether {hop.address} is there and running, or mend that route",
    )


def behind_own_network(failure: Failure) -> Obstacle | None:
    """A network of this host's own, as containers have, over the address of somebody elsewhere."""
    address, ask = asked_for(failure), failure.bench.station.ask
    out = way(ask, address, failure.bench.identity.uid) if address else None
    shown = listed(ask, "ip", "-j", "-4", "route", "show", "default")
    defaults = [hop for route in shown for hop in next_hops.of_route(route) if hop.gateway]
    if address is None or isinstance(out, str) or out is None or out.gateway is not None or not defaults:
        return None
    with failure.bench.station.entered():
        own = bridges.find(out.link)
    if own is None or out.link in [hop.link for hop in defaults]:
        return None
    # So that the kernel asks now who has it.
    ping(failure.bench.station, address, count=1)
    hop = next_hop(ask, address, failure.bench.identity.uid)
    if hop is None or not hop.failed:
        return None
    networks = " and ".join(f"{each.network}" for each in addresses(failure.target.host, out.link)) or "its network"
    # Where it is a part of another network of this host's, he is there and needs no router.
    home = [link for link in links_with_network_of(ask, address) if link != out.link]
    by = f"dev {home[0]}" if home else f"via {defaults[0].gateway}"
    silent, bare = "nobody there answers ARP for it: it is off, or elsewhere and hidden", "nothing is plugged in there"
    return Obstacle(
        f"{address} is looked for at the bridge {out.link}, where this host's own network {networks} is, and "
        f"{silent if own.ports else bare}",
        f"sudo ip route add {address}/32 {by}; for good give {out.link} another network, where "
        "whoever made it, as a container engine or a VPN does, keeps its settings",
    )


def answers_refused(failure: Failure) -> Obstacle | None:
    """A strict reverse path filter, and two ways to one machine."""
    address, station = asked_for(failure), failure.bench.station
    with station.entered():
        link = answers_are_refused(station.ask, address, failure.bench.identity.uid) if address else None
    if link is None:
        return None
    return Obstacle(
        f"the host's reverse path filter drops what {address} answers: it comes in at {link}, and this host would send "
        "to it by another interface",
        f"sudo sysctl -w net.ipv4.conf.{link}.rp_filter=2, or mend the routes (ip route get {address}; ip rule)",
    )


def from_another_network(failure: Failure) -> Obstacle | None:
    """A route that has this host call itself by an address to which the other machine knows no way back."""
    service, station = sent_to(failure), failure.bench.station
    out = way(station.ask, service.address, failure.bench.identity.uid) if service else None
    if service is None or "TCP" not in service.protocols or out is None or isinstance(out, str) or not out.source:
        return None
    own = [each.ip for each in addresses(failure.target.host, out.link)]
    at_home = next((str(ip) for ip in own if ip.version == ip_address(out.source).version), None)
    if at_home is None or ip_address(out.source) in own or opens(station, service, out.source):
        return None
    if not opens(station, service, at_home):
        return None
    spelled = f"{service.address}/32{f' via {out.gateway}' if out.gateway else ''} dev {out.link} src {at_home}"
    table = "" if out.table == MAIN else f" table {out.table}"
    return Obstacle(
        f"this host sends to {service.address} from {out.source}, an address that {out.link} has not, and is not "
        f"answered; from {at_home}, which {out.link} has, it is",
        f"sudo ip route replace {spelled}{table}",
    )


def opens(station: Station, service: Endpoint, source: str, source_port: int = 0) -> bool:
    """Whether a connection opens from one of this host's addresses, and from a port of it that is given."""
    with station.open_socket(to=service.address) as calling:
        calling.settimeout(own_attempt.CALL_SECONDS)
        try:
            calling.bind((source, source_port))
            calling.connect((service.address, service.port))
        except OSError:
            return False
    return True


def _host_is_answered(station: Station, service: Endpoint) -> bool:
    """Whether a machine answers this host by anything at all."""
    if ping(station, service.address, count=1).received:
        return True
    return "TCP" in service.protocols and own_attempt.connect(station, service).error is None


def same_network(failure: Failure) -> Obstacle | None:
    """libslirp's network may be the LAN's own: the guest then looks for the LAN's machines beside itself."""
    address = asked_for(failure)
    got = lease_now(failure.guest) if failure.guest and address and OF_NAMES not in failure.topics else None
    if got is None or address is None or ip_address(address) not in IPv4Interface(got.interface).network:
        return None
    network = IPv4Interface(got.interface).network
    return Obstacle(
        f"{address} is in {network}, which is what user mode gives its guests: the guest looks for it inside of QEMU",
        "give guests another network: -netdev user,net=10.0.3.0/24",
    )


def address_on_port(failure: Failure) -> Obstacle | None:
    """What comes in at a bridge's port belongs to the bridge, so an address on the port hears nothing.

    Guests of the bridge that have to do with others than this host hear and say what they like.
    """
    address, with_host = asked_for(failure), failure.on_lan and search.is_with_host(failure)
    out = link_to(failure.bench.station.ask, address, failure.bench.identity.uid) if address else None
    with failure.bench.station.entered():
        every = bridges.read()
    for bridge in every:
        for port in bridge.uplinks:
            if port.name == out or (with_host and bridge.name == failure.target.bridge and port.has_routes):
                return Obstacle(
                    f"{port.name} is in {bridge.name} and still has this host's address and routes: what comes in "
                    f"there is given to {bridge.name}",
                    f"move address and routes from {port.name} to {bridge.name} in the network configuration, not by "
                    "hand over ssh",
                )
    return None


def wrong_neighbour(failure: Failure) -> Obstacle | None:
    """An entry that was written by hand is believed, whoever answers."""
    service, station = sent_to(failure), failure.bench.station
    hop = next_hop(station.ask, service.address) if service else None
    # One that is right stands in nobody's way.
    if service is None or hop is None or not hop.by_hand or _host_is_answered(station, service):
        return None
    return Obstacle(
        f"this host sends what is for {hop.address} to the MAC {hop.mac}: so says an entry in its neighbour table that "
        "was written by hand, and no answer comes from there",
        f"sudo ip neigh del {hop.address} dev {hop.link}",
    )
