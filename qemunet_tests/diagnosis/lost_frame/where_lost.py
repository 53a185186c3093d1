"""Causes nobody thought of: where on its way a frame was seen last, and what stands there."""

from collections.abc import Iterator
from dataclasses import replace

from qemunet_tests.diagnosis.failure import Failure
from qemunet_tests.diagnosis.lost_frame import filters_on_path, search
from qemunet_tests.diagnosis.lost_frame.filters_on_path import OnTheWay, Standing
from qemunet_tests.diagnosis.lost_frame.frame_path import Trail
from qemunet_tests.host.obstacle import LostFrame, Obstacle
from qemunet_tests.observe.icmp import FULL_SIZE_BYTES, largest_answered

REST = 3
AS_ROOT = "run the claim again as root, with the guest still yours: sudo qemunet run --target host ... --as $USER"
LOOK = (
    "look at what is there: sudo nft list ruleset, tc filter show dev {0} ingress, bridge -d link, ip -s link, "
    "sudo bpftool net"
)


def lost_here(scene: Failure) -> Obstacle | None:
    """A frame that was seen at one place of this host and not at the next.

    In user mode only if something is known to stand there: QEMU's own packets are also lost to a dead neighbour.
    """
    found = _lost(scene)
    return found[0] if found and (scene.on_lan or found[1]) else None


def lost_somewhere(scene: Failure) -> Obstacle | None:
    """The same, whether anything is known to stand there or not."""
    found = _lost(scene)
    return found[0] if found else None


def _lost(scene: Failure) -> tuple[Obstacle, bool] | None:
    """Between which two places a frame was lost, and whether it is known by what."""
    trail = search.trail_of(scene)
    gap = trail.gap if trail else None
    if trail is None or gap is None:
        return None
    before, after, of_answer = gap
    what = trail.exchange.answer if of_answer else trail.exchange.question
    seen_off_path = f", though {' and '.join(trail.off_path)} itself got it" if trail.off_path and not of_answer else ""
    means = ", by the kernel's counters," if trail.unheard else ""
    lost = f"the {what} was{means} seen at {before} and not at {after}{seen_off_path}: it is lost between them"
    frame = LostFrame(what, trail.places, before, after)
    way = _way(scene, trail, of_answer)
    found = list(_standing_between(scene, trail, way, before, after, of_answer))
    acted = [each.obstacle for each in found if each.acted]
    if acted:
        names = "; and ".join(each.reason for each in acted[:REST])
        return Obstacle(f"{lost}, where this stands: {names}", acted[0].remedy, lost=frame), True
    if trail.unheard:
        return Obstacle(f"{lost}, by something that only root may see{_counted(trail)}", AS_ROOT, lost=frame), False
    lost = f"{lost}, by something that is not known to us{_innocent(way, found)}{_counted(trail)}"
    return Obstacle(lost, LOOK.format(_link_of(before, after)), lost=frame), False


def _way(scene: Failure, trail: Trail, of_answer: bool) -> OnTheWay:
    """The packet that was lost, as the host saw it."""
    packet = trail.exchange.answered if of_answer else trail.exchange.asked
    if not scene.on_lan:
        link = trail.places[-1] if len(trail.places) > 1 else None
        packet = packet.at(link, None) if of_answer else replace(packet.at(None, link), user=scene.bench.identity.uid)
    return OnTheWay(scene.bench.station, packet, trail.counted)


def _innocent(way: OnTheWay, found: list[Standing]) -> str:
    """What stands there all the same: named, but not blamed."""
    if found:
        names = "; ".join(each.obstacle.reason for each in found[:REST])
        return f"; whether it was this, which stands there, cannot be told: {names}"
    count = way.others()
    return f"; {count} rules that stop something stand there, and none of them is about it" if count else ""


def _counted(trail: Trail) -> str:
    return f"; meanwhile the kernel counted {', '.join(map(str, trail.dropped))}" if trail.dropped else ""


def hidden(scene: Failure) -> Obstacle | None:
    """An answer that nobody saw come in, where something decides about frames before anybody may see them."""
    trail = search.trail_of(scene)
    if trail is None or trail.complete or trail.gap or trail.exchange.inward or len(trail.places) == 1:
        return None
    found = filters_on_path.hidden_from_ears(scene.bench.station, trail.places[-1])
    if not found:
        return None
    return Obstacle(
        f"no answer to the {trail.exchange.question} was seen at {trail.places[-1]}, where {found[0].reason} decides "
        "about what comes in before anybody can listen",
        found[0].remedy,
        lost=_beyond(trail),
    )


def host_silent(scene: Failure) -> Obstacle | None:
    """A question that the host itself should answer, and does not."""
    trail = search.trail_of(scene)
    if trail is None or not trail.exchange.to_host or not trail.unanswered:
        return None
    host, last = scene.bench.station, trail.places[-1]
    asked = OnTheWay(host, replace(trail.exchange.asked.at(last, None), to_this_host=True), trail.counted)
    answered = OnTheWay(host, trail.exchange.answered.at(None, last), trail.counted)
    found = [
        *(Standing(each, True) for each in filters_on_path.deafness_to_pings(host)),
        *asked.at_link(last, leaving=False),
        *asked.of_the_host(leaving=False),
        *answered.of_the_host(leaving=True),
        *answered.at_link(last, leaving=True),
    ]
    acted = [each.obstacle for each in found if each.acted]
    lost = _beyond(trail)
    reached = f"the {trail.exchange.question} reached {last}, and this host gave no answer"
    if not acted:
        innocent = "" if trail.unheard else _innocent(asked, found)
        look = AS_ROOT if trail.unheard else LOOK.format(last)
        return Obstacle(f"{reached}{innocent}{_counted(trail)}", look, lost=lost)
    return Obstacle(
        f"{reached}, where this stands: {'; and '.join(each.reason for each in acted[:REST])}",
        acted[0].remedy,
        lost=lost,
    )


def unanswered(scene: Failure) -> Obstacle | None:
    """A question that has left this host and brought no answer."""
    trail = search.trail_of(scene)
    if trail is None or not trail.unanswered or len(trail.places) == 1:
        return None
    exchange, last = trail.exchange, trail.places[-1]
    if exchange.inward:
        reason = f"the {exchange.question} reached {last} and the guest gave no answer"
        return Obstacle(reason, "look at the guest's own firewall and services", lost=_beyond(trail))
    if fits := _largest_answered(scene, trail):
        return Obstacle(
            f"the {exchange.question} left this host at {last}, and no answer came in there: beyond {last} packets of "
            f"more than {fits} bytes vanish and smaller ones are answered",
            f"mend the MTU of the LAN behind {last}, or -device virtio-net-pci,host_mtu={fits}",
            lost=_beyond(trail),
        )
    return Obstacle(
        f"the {exchange.question} left this host at {last}, and no answer came in there: this host is not to blame",
        f"look beyond {last}: the switch's port and what it admits, then the machine that should answer",
        lost=_beyond(trail),
    )


def _beyond(trail: Trail) -> LostFrame:
    """The question passed every place that we can listen at, and no answer came in at the last of them."""
    return LostFrame(trail.exchange.question, trail.places, trail.places[-1], None)


def unseen(scene: Failure) -> Obstacle | None:
    """An ordinary user may listen at his own guest, and at no interface of the host."""
    trail = search.trail_of(scene)
    if trail is None or trail.complete or not trail.unheard or not trail.asked[0]:
        return None
    return Obstacle(
        f"the {trail.exchange.question} left {trail.places[0]}, and no answer came back to it; how far it got on "
        f"{', '.join(trail.unheard)} only root may see",
        AS_ROOT,
    )


def _largest_answered(scene: Failure, trail: Trail) -> int:
    """The size of the largest packet that is answered, where a large one is not; 0 where none is."""
    address = trail.exchange.address
    if scene.guest is None or not address or trail.largest_bytes < FULL_SIZE_BYTES:
        return 0
    return largest_answered(scene.guest, address, trail.largest_bytes)


def _standing_between(
    scene: Failure, trail: Trail, way: OnTheWay, before: str, after: str, of_answer: bool
) -> Iterator[Standing]:
    on_the_host = [place for place in (before, after) if place != trail.places[-1 if trail.exchange.inward else 0]]
    if before in on_the_host:
        yield from way.at_link(before, leaving=False)
    if scene.on_lan and len(on_the_host) == 2:
        yield from way.within_bridge(scene.target.bridge, tuple(on_the_host), trail.largest_bytes)
    if not scene.on_lan:
        yield from way.of_the_host(leaving=not of_answer)
    if after in on_the_host:
        yield from way.at_link(after, leaving=True)


def _link_of(before: str, after: str) -> str:
    return after if " " in before else before
