"""The question that a broken claim comes down to is put once more, and followed.

The guest's wire, its tap, the bridge and the uplink are listened to at once meanwhile. That is done alike for DHCP,
ARP, DNS, TCP and ICMP, and needs no list of faults.
"""

import functools
from collections.abc import Iterator, Sequence
from contextlib import suppress

from qemunet_tests.diagnosis.failure import Failure
from qemunet_tests.diagnosis.lost_frame import probes
from qemunet_tests.diagnosis.lost_frame.frame_path import FramePath, follow
from qemunet_tests.diagnosis.lost_frame.probes import Exchange
from qemunet_tests.errors import Unavailable
from qemunet_tests.guest.guest import Guest
from qemunet_tests.host.route_lookup import link_to
from qemunet_tests.network.target import Endpoint
from qemunet_tests.observe.dns import used_by_qemu
from qemunet_tests.observe.icmp import FULL_SIZE_BYTES
from qemunet_tests.observe.lease import lease_now
from qemunet_tests.observe.process import tap_of

#: Claims that are about something else than a frame's way, by their `diagnosis`.
NOT_OF_FRAMES = ("acl", "acl-refusal", "helper", "helper-privilege", "netplan", "port-forward", "not-reachable")


def incomplete_path(failure: Failure) -> FramePath | None:
    """The first exchange that is not complete, of those that the broken claim needs; None where all are."""
    return _followed(failure, id(failure.error))


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

    Where several were lost at one place, they were lost there.
    """
    ask = functools.partial(follow, exchange, guest, failure.bench.station, links, off_path, countable=failure.on_lan)
    first = ask()
    return first if first.complete or first.plain or exchange.question == probes.DHCP else ask()


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
    # Whom a guest asks for a machine's MAC by IPv6, and whether it asks at all, is not followed.
    known = [each for name in ("neighbour_echo", "far_echo") if (each := _known(failure, name))]
    services = [each for each in known if each.version == 4]
    outside = [tap, *uplinks] if uplinks else [*inside, *_routed_by(failure, services[:1])]
    for exchange in _asked_of(guest, services, got.gateway, to_host=not uplinks):
        yield exchange, outside, []
    if (caller := _known(failure, "caller")) is None:
        return
    if is_host := caller is failure.target.host:
        yield probes.arp(guest, failure.target.caller_address, to_host=True), inside, []
        yield probes.echo(guest, failure.target.caller_address, to_host=True), inside, []
    yield probes.call(caller, got.address), inside if is_host else outside, []


def _asked_of(guest: Guest, services: Sequence[Endpoint], gateway: str, to_host: bool) -> Iterator[Exchange]:
    """What a guest asks of these services; where none is known, of its gateway, which is this host or another."""
    if services and not to_host:
        yield probes.arp(guest, services[0].address)
    for service in services:
        yield probes.tcp(guest, service)
        yield probes.echo(guest, service.address)
        yield probes.echo(guest, service.address, FULL_SIZE_BYTES)
    if not services and gateway:
        yield probes.arp(guest, gateway, to_host)
        yield probes.echo(guest, gateway, to_host=to_host)
        yield probes.echo(guest, gateway, FULL_SIZE_BYTES, to_host)


def _routed_by(failure: Failure, services: Sequence[Endpoint]) -> list[str]:
    """The link by which this host sends on what a guest of a bridge without uplink has for a service."""
    links = [link_to(failure.bench.station.ask, each.address, 0) for each in services]
    return [link for link in links if link and link != failure.target.bridge]


def _through_qemu(failure: Failure, guest: Guest) -> Iterator[tuple[Exchange, list[str], list[str]]]:
    """The same where QEMU stands between: its own packets pass one link of the host at most."""

    def way_to(address: str) -> list[str]:
        link = link_to(failure.bench.station.ask, address, failure.bench.identity.uid)
        return [link] if link else []

    if lease_now(guest) is None:
        yield probes.dhcp(guest), [], []
        return
    if "resolver" in failure.topics:
        for name in failure.target.names:
            yield probes.dns(guest, name, "10.0.2.3", used_by_qemu()), way_to(used_by_qemu()), []
    service = _known(failure, "neighbour_echo" if "reach-lan" in failure.topics else "far_echo")
    if service and not any(topic.startswith("ping") for topic in failure.topics):
        yield probes.tcp(guest, service), way_to(service.address), []
        yield probes.udp(guest, service), way_to(service.address), []


def _known(failure: Failure, name: str):  # type: ignore[no-untyped-def]
    """What the target has by that name; None where this host does not let us know."""
    try:
        return getattr(failure.target, name)
    except Unavailable:
        return None


def _uplinks(failure: Failure) -> list[str]:
    found = failure.bridge()
    return [port.name for port in found.uplinks if port.up][:1] if found else []
