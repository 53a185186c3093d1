"""Causes beyond the host: servers that do not answer."""

from qemunet_tests.diagnosis import localise
from qemunet_tests.diagnosis.cause import Cause
from qemunet_tests.diagnosis.scene import Scene
from qemunet_tests.harness.host import resolver
from qemunet_tests.harness.target import Endpoint
from qemunet_tests.observe.exchanges import DHCP
from qemunet_tests.observe.frames import dhcp_messages
from qemunet_tests.observe.mac_filter import offered_to_the_uplink
from qemunet_tests.observe.resolver import host_answers


def no_dhcp_server(scene: Scene) -> Cause | None:
    """The guest asks and nobody offers, although everything on the host is in order."""
    if scene.guest is None or not scene.bridged:
        return None
    seen = dhcp_messages(scene.guest)
    trail = localise.trail_of(scene)
    if "discover" not in seen or "offer" in seen or trail is None or not trail.unanswered:
        return None
    return Cause(
        f"no DHCP server answers on the LAN behind {scene.target.bridge}: the guest asked {seen.count('discover')} "
        f"times, its frames leave the host at {trail.places[-1]}, and no offer came in there",
        "start the LAN's DHCP server, or give the guest a static address",
    )


def macs_filtered(scene: Scene) -> Cause | None:
    """A switch that drops whatever does not bear the address of the machine at its port."""
    trail = localise.trail_of(scene)
    if scene.guest is None or trail is None or not trail.unanswered or trail.deaf or trail.exchange.question != DHCP:
        return None
    uplink = trail.places[-1]
    if not offered_to_the_uplink(scene.target.host, uplink, scene.guest.macs[0]):
        return None
    return Cause(
        f"what is behind {uplink} admits no other MAC address than {uplink}'s own: the same DHCP request brought an "
        "offer with that address on the frame, and none with the guest's",
        "let the port of the (virtual) switch admit guests: promiscuous mode, forged transmits and MAC changes, or "
        "no port security; else use user mode",
    )


def no_resolver(_: Scene) -> Cause | None:
    """libslirp then asks whatever may be on the loopback."""
    if resolver.read().used:
        return None
    return Cause(
        "/etc/resolv.conf names no IPv4 nameserver, and libslirp uses no other",
        "echo 'nameserver ADDRESS' | sudo tee -a /etc/resolv.conf, with the address of one that answers by IPv4",
    )


def resolver_silent(scene: Scene) -> Cause | None:
    """libslirp asks the first IPv4 nameserver and no other, dead or not."""
    found = resolver.read()
    if found.used is None or host_answers(scene.target.host, found.used, scene.target.names[0]):
        return None
    rest = ", and libslirp asks no other" if len(found.ipv4) > 1 else ""
    return Cause(
        f"the resolver {found.used}, the first in /etc/resolv.conf, does not answer{rest}",
        "start it, or put a resolver that answers first in /etc/resolv.conf",
    )


def outside_unreachable(scene: Scene) -> Cause | None:
    """What the host cannot reach itself, its guests in user mode cannot either."""
    return _unreachable(scene, scene.target.far_echo)


def lan_unreachable(scene: Scene) -> Cause | None:
    """The same of the host's own LAN."""
    return _unreachable(scene, scene.target.neighbour_echo)


def _unreachable(scene: Scene, service: Endpoint) -> Cause | None:
    try:
        scene.target.host.connect(service.address, service.port, within_seconds=3.0).close()
    except OSError as error:
        reason = f"the host itself does not reach {service.address} ({error.strerror or error})"
        return Cause(reason, "mend the host's own route and its router first")
    return None
