"""The question that a broken claim comes down to is put once more, and followed.

The guest's wire, its tap, the bridge and the uplink are listened to at once meanwhile. That is done alike for DHCP,
ARP, DNS, TCP and ICMP, and needs no list of faults.

Only what the claim itself needs is asked, by its `diagnosis`: a packet of another kind, or for somebody else, may be
lost as well, and what it was lost to is no cause of this failure.
"""

import functools
from collections.abc import Iterator
from contextlib import suppress
from ipaddress import ip_address, ip_interface

from qemunet_tests.diagnosis.failure import Failure
from qemunet_tests.diagnosis.lost_frame import probes, queues
from qemunet_tests.diagnosis.lost_frame.frame_path import FramePath, follow
from qemunet_tests.diagnosis.lost_frame.probes import Exchange
from qemunet_tests.errors import Unavailable
from qemunet_tests.guest.guest import Guest
from qemunet_tests.host import flow_lookup
from qemunet_tests.host.policy_rules import RoutedPacket
from qemunet_tests.network.target import Endpoint
from qemunet_tests.observe.dns import used_by_qemu
from qemunet_tests.observe.icmp import FULL_SIZE_BYTES
from qemunet_tests.observe.lease import lease_now
from qemunet_tests.observe.process import tap_of

IPV4 = 4
#: Claims that are about something else than a frame's way, by their `diagnosis`.
NOT_OF_FRAMES = ("acl", "acl-refusal", "helper", "helper-privilege", "netplan", "port-forward", "not-reachable")
#: What the target calls the service that a claim's packets are for, by its `diagnosis`.
SERVICES = {
    "bridge-lan": "neighbour_echo",
    "bridge-outside": "far_echo",
    "reach-lan": "neighbour_echo",
    "reach": "far_echo",
    "privilege": "far_echo",
}
SSH = 22
#: A queue that holds packets for longer is one that they get lost in.
EMPTY_SECONDS = 5.0
#: As /proc/net/tcp has the state of a socket that waits for connections.
_LISTENS = "0A"
#: Which packets a claim is about. One that names none of these is about all.
PACKETS = frozenset(("tcp", "udp", "echo", "large", "other-protocols"))


def incomplete_path(failure: Failure) -> FramePath | None:
    """The first exchange that is not complete, of those that the broken claim needs; None where all are."""
    return _followed(failure, id(failure.error))


def is_about(failure: Failure, packets: str) -> bool:
    """Whether the broken claim is about such packets, a word of PACKETS."""
    named = PACKETS.intersection(failure.topics)
    return not named or packets in named


def is_with_host(failure: Failure) -> bool:
    """Whether it is this host itself that a bridged guest has to do with."""
    if "bridge-host" in failure.topics:
        return True
    return bool({"called", "pinged"}.intersection(failure.topics)) and _known(failure, "caller") is failure.target.host


def answered_after_all(failure: Failure) -> bool:
    """Whether all is complete now: what had no answer had none in time, and what was concluded from that is wrong."""
    return _followed.__wrapped__(failure, 0) is None


@functools.lru_cache(maxsize=1)
def _followed(failure: Failure, _: int) -> FramePath | None:
    guest = failure.guest
    if guest is None or not guest.nics or any(topic in NOT_OF_FRAMES for topic in failure.topics) or not _runs(guest):
        return None
    # Whatever a real host does not let us know keeps only its own question from being asked.
    for exchange, links, off_path in (_over_the_lan if failure.on_lan else _through_qemu)(failure, guest):
        with suppress(Unavailable):
            if not (path := _asked(failure, guest, exchange, links, off_path)).complete:
                return path
    return None


def _asked(failure: Failure, guest: Guest, exchange: Exchange, links: list[str], off_path: list[str]) -> FramePath:
    """Twice, because a single question may get lost, and nothing be wrong; a DHCP client asks several times itself.

    Where several were lost at one place, they were lost there, and where several had no answer, there is none.
    """
    # What is left of the claim's own packets in a narrow queue would keep the question waiting, and it would seem lost.
    queues.empties(failure.bench.station, links, EMPTY_SECONDS)
    ask = functools.partial(follow, exchange, guest, failure.bench.station, links, off_path, countable=failure.on_lan)
    first = ask()
    if first.complete or first.plain or first.repeatedly_unanswered or exchange.question == probes.DHCP:
        return first
    return ask()


def _runs(guest: Guest) -> bool:
    return guest.qemu.how_it_ended() is None and guest.panic is None


def _over_the_lan(failure: Failure, guest: Guest) -> Iterator[tuple[Exchange, list[str], list[str]]]:
    """Exchanges, the links of the host that each passes, and those that see it beside its way."""
    tap, bridge = tap_of(guest), failure.target.bridge
    if tap is None:
        return
    uplinks, inside = _uplinks(failure), [tap, bridge]
    got = lease_now(guest)
    if got is None:
        # Without an uplink it is this host that serves the network, as libvirt has it.
        yield (
            probes.dhcp(guest, to_host=not uplinks),
            [tap, *uplinks] if uplinks else inside,
            [bridge] if uplinks else [],
        )
        return
    service = service_of(failure)
    outside = [tap, *uplinks] if uplinks else [*inside, *_routed_by(failure, service, got.address)]
    aside = [] if uplinks or service is None else links_if_marked(failure, passed_on(failure, service, got.address))
    # Whom a guest asks for a machine's MAC by IPv6, and whether it asks at all, is not followed.
    if service and service.version == IPV4:
        is_near = ip_address(service.address) in ip_interface(got.interface).network
        whose = (service.address if is_near else got.gateway) if uplinks else ""
        for exchange in _asked_of_service(failure, guest, service, whose):
            yield exchange, outside, aside
    elif "bridge-gateway" in failure.topics and got.gateway:
        for exchange in _asked_of_gateway(guest, got.gateway, to_host=not uplinks):
            yield exchange, outside, []
    host, caller = failure.target.host, _known(failure, "caller")
    with_host = "bridge-host" in failure.topics
    if is_with_host(failure):
        yield probes.arp(guest, failure.target.address, to_host=True), inside, []
        if with_host or "echo" in failure.topics:
            yield probes.echo(guest, failure.target.address, to_host=True), inside, []
        caller, outside = host, inside
    if caller and (with_host or "pinged" in failure.topics):
        yield probes.call(caller, got.address), outside, []
    if caller and (port := called_port(failure, guest)):
        yield probes.connect(caller, got.address, port), outside, []


def _asked_of_service(failure: Failure, guest: Guest, service: Endpoint, hop: str) -> Iterator[Exchange]:
    """What a guest asks of a service that it is to reach; `hop` is whose MAC it needs for that, of another machine."""
    if hop:
        yield probes.arp(guest, hop)
    if is_about(failure, "tcp") and "TCP" in service.protocols:
        yield probes.tcp(guest, service)
    if is_about(failure, "udp") and "UDP" in service.protocols:
        yield probes.udp(guest, service)
    if is_about(failure, "echo"):
        yield probes.echo(guest, service.address)
    if is_about(failure, "large"):
        yield probes.echo(guest, service.address, FULL_SIZE_BYTES)


def _asked_of_gateway(guest: Guest, address: str, to_host: bool) -> Iterator[Exchange]:
    """What is asked of a machine that has no service."""
    yield probes.arp(guest, address, to_host)
    yield probes.echo(guest, address, to_host=to_host)
    yield probes.echo(guest, address, FULL_SIZE_BYTES, to_host)


def service_of(failure: Failure) -> Endpoint | None:
    """Whom the claim's packets are for; None where it names nobody, or this host does not know him."""
    name = next((SERVICES[topic] for topic in failure.topics if topic in SERVICES), None)
    service: Endpoint | None = _known(failure, name) if name else None
    return service


def called_port(failure: Failure, guest: Guest) -> int:
    """The port at which the claim has a guest called: that of SSH, or else what its test has put up; 0 where none is.

    What is at another port may meet other rules.
    """
    if not {"called", "bridge-host"}.intersection(failure.topics):
        return 0
    if "ssh" in failure.topics:
        return SSH
    sockets = [line.split() for line in guest.run("cat /proc/net/tcp").text.splitlines()[1:]]
    ports = {int(words[1].rpartition(":")[2], 16) for words in sockets if words[3] == _LISTENS}
    return max(ports - {SSH}, default=0)


def _routed_by(failure: Failure, service: Endpoint | None, source: str) -> list[str]:
    """The link by which this host sends on what a guest of a bridge without uplink, at `source`, has for a service."""
    if service is None:
        return []
    ask = failure.bench.station.ask
    passed = passed_on(failure, service, source)
    # Of several next hops it may be handed to another than what this host itself sends there.
    divided = flow_lookup.divided(ask, passed)
    link = flow_lookup.link_of(ask, passed if divided else RoutedPacket(service.address))
    return [link] if link and link != failure.target.bridge else []


def passed_on(failure: Failure, service: Endpoint, source: str) -> RoutedPacket:
    """What a guest of a bridge without uplink, at `source`, has for a service, as this host routes it."""
    return RoutedPacket(service.address, source=source, coming_by=failure.target.bridge)


def links_if_marked(failure: Failure, packet: RoutedPacket) -> list[str]:
    """Where a packet leaves instead, should a packet filter mark it: whoever listens there sees whether it does."""
    ways = flow_lookup.if_marked(failure.bench.station.ask, packet)
    return list(dict.fromkeys(out.link for _, out in ways))


def _through_qemu(failure: Failure, guest: Guest) -> Iterator[tuple[Exchange, list[str], list[str]]]:
    """The same where QEMU stands between: its own packets pass one link of the host at most."""

    def ways_to(address: str) -> tuple[list[str], list[str]]:
        packet = RoutedPacket(address, failure.bench.identity.uid)
        link = flow_lookup.link_of(failure.bench.station.ask, packet)
        return [link] if link else [], links_if_marked(failure, packet) if link else []

    if (got := lease_now(guest)) is None:
        yield probes.dhcp(guest), [], []
        return
    if "resolver" in failure.topics and got.resolvers:
        for name in failure.target.names:
            yield probes.dns(guest, name, got.resolvers[0], used_by_qemu()), *ways_to(used_by_qemu())
    if "ping-outside" in failure.topics:
        address = failure.target.far_echo.address
        yield probes.echo(guest, address), *ways_to(address)
    if (service := service_of(failure)) is None:
        return
    if is_about(failure, "tcp") and "TCP" in service.protocols:
        yield probes.tcp(guest, service), *ways_to(service.address)
    if is_about(failure, "udp") and "UDP" in service.protocols:
        yield probes.udp(guest, service), *ways_to(service.address)


def _known(failure: Failure, name: str):  # type: ignore[no-untyped-def]
    """What the target has by that name; None where this host does not let us know."""
    try:
        return getattr(failure.target, name)
    except Unavailable:
        return None


def _uplinks(failure: Failure) -> list[str]:
    found = failure.bridge()
    return [port.name for port in found.uplinks if port.up][:1] if found else []
