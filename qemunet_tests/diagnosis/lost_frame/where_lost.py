"""Causes nobody thought of: where on its way a frame was seen last, and what stands there."""

from collections.abc import Iterator
from dataclasses import replace
from ipaddress import ip_interface

from qemunet_tests.diagnosis.failure import Failure
from qemunet_tests.diagnosis.lost_frame import filters_on_path, search
from qemunet_tests.diagnosis.lost_frame.filters_on_path import FilterOnPath, PacketOnPath
from qemunet_tests.diagnosis.lost_frame.frame_path import FramePath
from qemunet_tests.host.obstacle import LostFrame, Obstacle
from qemunet_tests.observe.icmp import FULL_SIZE_BYTES, largest_answered

REST = 3
AS_ROOT = "run the claim again as root, with the guest still yours: sudo qemunet run --target host ... --as $USER"
LOOK = (
    "look at what is there: sudo nft list ruleset, tc filter show dev {0} ingress, bridge -d link, ip -s link, "
    "sudo bpftool net"
)


def lost_here(failure: Failure) -> Obstacle | None:
    """A frame that was seen at one place of this host and not at the next.

    In user mode only if something is known to stand there: QEMU's own packets are also lost to a dead neighbour.
    """
    found = _lost(failure)
    return found[0] if found and (failure.on_lan or found[1]) else None


def lost_somewhere(failure: Failure) -> Obstacle | None:
    """The same, whether anything is known to stand there or not."""
    found = _lost(failure)
    return found[0] if found else None


def answer_lost(failure: Failure) -> Obstacle | None:
    """The same of an answer that came in and that this host kept from QEMU: of that nobody else can be guilty."""
    path = search.incomplete_path(failure)
    found = _lost(failure) if path and path.gap and path.gap[2] else None
    return found[0] if found else None


def _lost(failure: Failure) -> tuple[Obstacle, bool] | None:
    """Between which two places a frame was lost, and whether it is known by what."""
    path = search.incomplete_path(failure)
    gap = path.gap if path else None
    if path is None or gap is None:
        return None
    before, after, of_answer = gap
    what = path.exchange.answer if of_answer else path.exchange.question
    seen_off_path = f", though {' and '.join(path.off_path)} itself got it" if path.off_path and not of_answer else ""
    means = ", by the kernel's counters," if path.unheard else ""
    lost = f"the {what} was{means} seen at {before} and not at {after}{seen_off_path}: it is lost between them"
    frame = LostFrame(what, path.places, before, after)
    way = _way(failure, path, of_answer)
    found = list(_standing_between(failure, path, way, before, after, of_answer))
    acted = [each.obstacle for each in found if each.acted]
    if acted:
        names = "; and ".join(each.reason for each in acted[:REST])
        return Obstacle(f"{lost}, where this stands: {names}", acted[0].remedy, lost=frame), True
    if path.unheard:
        lost = f"{lost}, by something that only root may see{_standing(found)}{_counted(path)}"
        return Obstacle(lost, AS_ROOT, lost=frame), False
    lost = f"{lost}, by something that is not known to us{_innocent(way, found)}{_counted(path)}"
    return Obstacle(lost, LOOK.format(_link_of(before, after)), lost=frame), False


def something_stands_there(failure: Failure) -> bool:
    """Whether there is anything on the host that may have stopped what was lost, or nobody may see what there is."""
    path = search.incomplete_path(failure)
    gap = path.gap if path else None
    if path is None or gap is None:
        return False
    way = _way(failure, path, of_answer=gap[2])
    return bool(path.unheard) or any(True for _ in _standing_between(failure, path, way, *gap))


def _way(failure: Failure, path: FramePath, of_answer: bool) -> PacketOnPath:
    """The packet that was lost, as the host saw it."""
    packet = path.exchange.answered if of_answer else path.exchange.asked
    if not failure.on_lan:
        link = path.places[-1] if len(path.places) > 1 else None
        qemu = failure.bench.identity
        if not of_answer:
            packet = replace(packet.at(None, link), user=qemu.uid, group=qemu.gid)
        elif packet.protocol in ("tcp", "udp") and path.answered_at:
            # QEMU calls from a port of its own.
            to, port = path.answered_at[0]
            packet = replace(packet.at(link, None), destination=to, port=port, passing=True, to_this_host=True)
        else:
            packet = packet.at(link, None)
    elif failure.guest and not of_answer and not path.exchange.inward:
        packet = replace(packet, source_mac=failure.guest.macs[0])
    return PacketOnPath(failure.bench.station, packet, path.counted)


def _innocent(way: PacketOnPath, found: list[FilterOnPath]) -> str:
    """What stands there all the same: named, but not blamed."""
    if found:
        return _standing(found)
    count = way.others()
    return f"; {count} rules that stop something stand there, and none of them is about it" if count else ""


def _standing(found: list[FilterOnPath]) -> str:
    names = "; ".join(each.obstacle.reason for each in found[:REST])
    return f"; whether it was this, which stands there, cannot be told: {names}" if found else ""


def _counted(path: FramePath) -> str:
    return f"; meanwhile the kernel counted {', '.join(map(str, path.dropped))}" if path.dropped else ""


def hidden(failure: Failure) -> Obstacle | None:
    """An answer that nobody saw come in, where something decides about frames before anybody may see them."""
    path = search.incomplete_path(failure)
    if path is None or path.complete or path.gap or path.exchange.inward or len(path.places) == 1:
        return None
    found = filters_on_path.hidden_from_captures(failure.bench.station, path.places[-1])
    if not found:
        return None
    return Obstacle(
        f"no answer to the {path.exchange.question} was seen at {path.places[-1]}, where {found[0].reason} decides "
        "about what comes in before anybody can listen: whether it took the answer cannot be told",
        found[0].remedy,
        lost=_beyond(path),
    )


def host_silent(failure: Failure) -> Obstacle | None:
    """A question that the host itself should answer, and does not, because of what is known to have acted on it."""
    found = _silent(failure)
    return found[0] if found and found[1] else None


def host_silent_somehow(failure: Failure) -> Obstacle | None:
    """The same, whether anything is known to have acted or not."""
    found = _silent(failure)
    return found[0] if found else None


def _silent(failure: Failure) -> tuple[Obstacle, bool] | None:
    """That the host does not answer what reached it, and whether it is known by what."""
    path = search.incomplete_path(failure)
    if path is None or not path.exchange.to_host or not path.unanswered:
        return None
    host, last = failure.bench.station, path.places[-1]
    asked = PacketOnPath(host, replace(path.exchange.asked.at(last, None), to_this_host=True), path.counted)
    answered = PacketOnPath(host, path.exchange.answered.at(None, last), path.counted)
    found = [
        *(FilterOnPath(each, True) for each in filters_on_path.deafness(host, last, path.exchange.asked)),
        *asked.at_link(last, leaving=False),
        *asked.of_the_host(leaving=False),
        *answered.of_the_host(leaving=True),
        *answered.at_link(last, leaving=True),
    ]
    acted = [each.obstacle for each in found if each.acted]
    lost = _beyond(path)
    reached = f"the {path.exchange.question} reached {last}, and this host gave no answer"
    if not acted:
        innocent = "" if path.unheard else _innocent(asked, found)
        look = AS_ROOT if path.unheard else LOOK.format(last)
        return Obstacle(f"{reached}{innocent}{_counted(path)}", look, lost=lost), False
    names = "; and ".join(each.reason for each in acted[:REST])
    return Obstacle(f"{reached}, where this stands: {names}", acted[0].remedy, lost=lost), True


def unanswered(failure: Failure) -> Obstacle | None:
    """A question that has left this host and brought no answer."""
    path = search.incomplete_path(failure)
    if path is None or not path.unanswered or len(path.places) == 1:
        return None
    exchange, last = path.exchange, path.places[-1]
    if exchange.inward:
        reason = f"the {exchange.question} reached {last} and the guest gave no answer"
        return Obstacle(reason, "look at the guest's own firewall and services", lost=_beyond(path))
    if fits := _largest_answered(failure, path):
        return Obstacle(
            f"the {exchange.question} left this host at {last}, and no answer came in there: beyond {last} packets of "
            f"more than {fits} bytes vanish and smaller ones are answered",
            f"mend the MTU of the LAN behind {last}, or -device virtio-net-pci,host_mtu={fits}",
            lost=_beyond(path),
        )
    if untranslated := _untranslated(failure, path):
        return untranslated
    if (thrown_away := path.thrown_away_at_last) >= path.asked[-1]:
        return Obstacle(
            f"the {exchange.question} was handed to {last}, and no answer came in there; meanwhile its driver threw "
            f"away {thrown_away} packets that were to leave",
            f"look what {last} counts, and what its other end carries: ethtool -S {last}, ip -s -d link show {last}",
            lost=_beyond(path),
        )
    return Obstacle(
        f"the {exchange.question} left this host at {last}, and no answer came in there: this host is not to blame",
        f"look beyond {last}: the switch's port and what it admits, then the machine that should answer",
        lost=_beyond(path),
    )


def _untranslated(failure: Failure, path: FramePath) -> Obstacle | None:
    """What leaves a network of this host's own with the guest's address comes back only by a route to that network."""
    got, last = failure.lan_lease, path.places[-1]
    if got is None or not _is_routed(failure, list(path.places[-2:])):
        return None
    network, link = ip_interface(got.interface).network, failure.target.bridge
    if path.unheard:
        return Obstacle(
            f"the {path.exchange.question} left this host at {last}, by the kernel's counters, and no answer came in "
            f"there: whether its source was an address of {network}, to which nobody there may know a way, only root "
            "may see",
            AS_ROOT,
            lost=_beyond(path),
        )
    if got.address not in path.sources:
        return None
    return Obstacle(
        f"the {path.exchange.question} left this host at {last} with the guest's own address {got.address} as its "
        f"source, and no answer came in there: no rule of this host translated it, and who is beyond {last} has to "
        f"know a way back to {network}",
        f"have what made {link} set its rules again, which a firewall that is loaded anew takes away (where that is "
        f"libvirt: sudo systemctl reload libvirtd); or give the LAN's router a route to {network}",
        lost=_beyond(path),
    )


def _beyond(path: FramePath) -> LostFrame:
    """The question passed every place that we can listen at, and no answer came in at the last of them."""
    return LostFrame(path.exchange.question, path.places, path.places[-1], None)


def unseen(failure: Failure) -> Obstacle | None:
    """An ordinary user may listen at his own guest, and at no interface of the host."""
    path = search.incomplete_path(failure)
    if path is None or path.complete or not path.unheard or not path.asked[0]:
        return None
    return Obstacle(
        f"the {path.exchange.question} left {path.places[0]}, and no answer came back to it; how far it got on "
        f"{', '.join(path.unheard)} only root may see",
        AS_ROOT,
    )


def _largest_answered(failure: Failure, path: FramePath) -> int:
    """The size of the largest packet that is answered, where a large one is not; 0 where none is."""
    address = path.exchange.address
    if failure.guest is None or not address or path.largest_bytes < FULL_SIZE_BYTES:
        return 0
    return largest_answered(failure.guest, address, path.largest_bytes)


def _standing_between(
    failure: Failure, path: FramePath, way: PacketOnPath, before: str, after: str, of_answer: bool
) -> Iterator[FilterOnPath]:
    on_the_host = [place for place in (before, after) if place != path.places[-1 if path.exchange.inward else 0]]
    if before in on_the_host:
        yield from way.at_link(before, leaving=False)
    if failure.on_lan and _is_routed(failure, on_the_host):
        got = failure.lan_lease if before == failure.target.bridge and not of_answer else None
        yield from way.routed(before, after, got.address if got else None)
    elif failure.on_lan and len(on_the_host) == 2:
        yield from way.within_bridge(failure.target.bridge, tuple(on_the_host), path.largest_bytes)
    if not failure.on_lan:
        yield from way.of_the_host(leaving=not of_answer)
    if after in on_the_host:
        yield from way.at_link(after, leaving=True)


def _is_routed(failure: Failure, places: list[str]) -> bool:
    """Whether a bridge's network is this host's own, and the other place is in another."""
    bridge = failure.bridge()
    others = [each for each in places if each != failure.target.bridge]
    return bool(bridge and len(places) == 2 and len(others) == 1 and not bridge.port(others[0]))


def _link_of(before: str, after: str) -> str:
    return after if " " in before else before
