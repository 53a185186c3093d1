"""Causes in the bridge itself: it is up and whole, and keeps frames to itself."""

from collections.abc import Iterator

from qemunet_tests.diagnosis.failure import Failure
from qemunet_tests.diagnosis.lost_frame import search
from qemunet_tests.guest.guest import Guest
from qemunet_tests.host import nft_ruleset
from qemunet_tests.host.nft_match import PROTOCOLS, PacketSeen
from qemunet_tests.host.nft_ruleset import Ruleset
from qemunet_tests.host.obstacle import Obstacle
from qemunet_tests.observe.capture import ICMP, TCP, UDP, Packet, packet, whole_capture
from qemunet_tests.observe.dhcp import SERVER_PORT
from qemunet_tests.observe.lease import lease_now
from qemunet_tests.observe.process import tap_of


def spanning_tree(failure: Failure) -> Obstacle | None:
    """A new port of a bridge that runs spanning tree hears and says nothing for twice the forward delay."""
    tap = tap_of(failure.guest) if failure.guest and failure.on_lan else None
    made = failure.bridge()
    port = made.port(tap) if made and tap else None
    if made is None or port is None or not made.spanning_tree or port.state == "forwarding":
        return None
    dead_seconds = 2 * made.forward_delay_seconds
    return Obstacle(
        f"{made.name} runs spanning tree: its port {tap} is still {port.state}, for {dead_seconds:g} s in all",
        f"sudo ip link set {made.name} type bridge stp_state 0 (with one uplink only)",
    )


def no_spanning_tree(failure: Failure) -> Obstacle | None:
    """A bridge that should run spanning tree and does not."""
    names = {nic.netdev.bridge for guest in failure.bench.guests for nic in guest.nics if nic.netdev.bridge}
    for name in sorted(names - {failure.target.bridge}):
        made = failure.bridge(name)
        if made and not made.spanning_tree:
            return Obstacle(
                f"{name} runs no spanning tree: something switched it off",
                f"sudo ip link set {name} type bridge stp_state 1",
            )
    return None


def filtered(failure: Failure) -> Obstacle | None:
    """The host's packet filter sees what its bridge forwards: frames always, IPv4 where br_netfilter is on.

    Of what the guest has sent for this claim, and what it waits for, a rule is known to have stopped whatever it is
    about.
    """
    here = failure.bridge() if failure.on_lan and failure.guest else None
    if here is None or failure.guest is None:
        return None
    ruleset = nft_ruleset.read(failure.target.host.ask) or Ruleset()
    for seen in _seen_or_awaited(failure, failure.guest):
        for stop in ruleset.stops(seen):
            if stop.certain and stop.family in here.families and stop.hook == "forward":
                return Obstacle(
                    f"the host's packet filter drops what {here.name} forwards: {stop.obstacle.reason}",
                    stop.obstacle.remedy,
                )
    return None


def _seen_or_awaited(failure: Failure, guest: Guest) -> Iterator[PacketSeen]:
    """What left the guest for this claim, one of each kind, and what comes to the port where it is called."""
    got = lease_now(guest)
    if got is None:
        return
    sent = (found for frame in whole_capture(guest) if (found := packet(frame)) and found.source == got.address)
    yield from dict.fromkeys(
        PacketSeen(
            PROTOCOLS[each.kind], each.source, each.target, None, each.second if each.kind in (TCP, UDP) else None
        )
        for each in sent
        if each.kind in PROTOCOLS and each.kind != ICMP and _is_of_claim(failure, each)
    )
    if port := search.called_port(failure, guest):
        yield PacketSeen("tcp", None, got.address, None, port)


def _is_of_claim(failure: Failure, sent: Packet) -> bool:
    """Whether a claim is about such packets: a guest says much that nobody asks about, of its clock and its name."""
    topics = failure.topics
    if "lease" in topics:
        return sent.kind == UDP and sent.second == SERVER_PORT
    if "called" in topics or "bridge-host" in topics:
        return sent.kind == TCP
    if "other-protocols" in topics:
        return sent.kind not in (TCP, UDP)
    service = search.service_of(failure)
    by = {TCP: "tcp", UDP: "udp"}.get(sent.kind, "")
    return bool(service and sent.target == service.address and by in topics)
