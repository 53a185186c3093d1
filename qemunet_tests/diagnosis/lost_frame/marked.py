"""Packets that a packet filter marks, as VPNs and proxies have it do, so that they take another way than all others.

Which packets bear a mark is told to nobody: that these do is seen where they leave. Sources: ip-rule(8), nft(8).
"""

import os

from qemunet_tests.diagnosis.failure import Failure
from qemunet_tests.diagnosis.lost_frame import own_attempt, routes, search
from qemunet_tests.host import flow_lookup, route_lookup
from qemunet_tests.host.obstacle import Obstacle
from qemunet_tests.host.policy_rules import PolicyRule, RoutedPacket
from qemunet_tests.host.route_lookup import PacketWay
from qemunet_tests.network.target import Endpoint


def led_astray(failure: Failure) -> Obstacle | None:
    """What was sent, and seen or counted at an interface to which a mark alone leads."""
    asked = _asked(failure)
    if asked is None:
        return None
    packet, service = asked
    ask = failure.bench.station.ask
    usual = route_lookup.way_of(ask, packet)
    for rule, out in flow_lookup.if_marked(ask, packet) if isinstance(usual, PacketWay) else ():
        if isinstance(usual, PacketWay) and _leaves_by(failure, service, out, usual):
            return _by_its_mark(packet, rule, out, usual)
    return None


def _asked(failure: Failure) -> tuple[RoutedPacket, Endpoint] | None:
    """The packet that the claim comes down to, as this host routes it, and whom it is for."""
    if not failure.on_lan:
        service = routes.sent_to(failure)
        return (RoutedPacket(service.address, failure.bench.identity.uid), service) if service else None
    service, got = search.service_of(failure), failure.lan_lease
    bridge = failure.bridge()
    if service is None or got is None or bridge is None or bridge.uplinks:
        return None
    return search.passed_on(failure, service, got.address), service


def _leaves_by(failure: Failure, service: Endpoint, out: PacketWay, usual: PacketWay) -> bool:
    path = search.incomplete_path(failure)
    if path is None or path.complete or (path.gap and path.gap[2]):
        return False
    if not path.unheard:
        return out.link in path.off_path
    if failure.on_lan or failure.bench.identity.uid != os.geteuid():
        return False
    return own_attempt.goes_by(failure.target.host, service, out.link, usual.link)


def _by_its_mark(packet: RoutedPacket, rule: PolicyRule, out: PacketWay, usual: PacketWay) -> Obstacle:
    whose = f"comes in at {packet.coming_by}" if packet.coming_by else f"user {packet.uid}, whom QEMU belongs to, sends"
    to = f"for {packet.address}" if packet.coming_by else f"to {packet.address}"
    back = f"pref {max(rule.preference - 1, 0)} to {packet.address} lookup {usual.table}"
    return Obstacle(
        f"what {whose} {to} leaves by {out.link} and not by {usual.link}: the packet filter marks it, and so says the "
        f"{rule}",
        f"sudo ip {'-6 ' if ':' in packet.address else ''}rule add {back}; whoever set that, as a VPN or a proxy does, "
        "sets it again at its next start: have that leave out these packets",
    )
