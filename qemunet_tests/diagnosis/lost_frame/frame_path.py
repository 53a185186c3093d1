"""How far a question got, and how far its answer came back: listened to at every place of its way at once."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from qemunet_tests.deadline import Deadline
from qemunet_tests.diagnosis.lost_frame.filters_on_path import PathCounts, more_than, path_counts
from qemunet_tests.diagnosis.lost_frame.kernel_counters import Drop, counters, risen
from qemunet_tests.diagnosis.lost_frame.probes import Exchange, asks_still
from qemunet_tests.guest.guest import Guest
from qemunet_tests.host.files import MACHINE, read_text
from qemunet_tests.isolation.station import Station
from qemunet_tests.observe.capture import Capture, Captures, GuestCapture, Packet

#: What is under way when the asking ends gets to the next place a moment later, on a busy machine not at once.
SETTLING_SECONDS = 1.0
#: So long a guest asks that is told to.
ASKING_SECONDS = 12.0
#: Of so many questions or answers at one place one would have come to the next, and those before the last had time to.
NO_CHANCE = 3
#: Something else that comes in just then hides that no answer does: the next time may be quieter.
QUIET_ATTEMPTS, QUIET_SECONDS = 3, 5.0
#: QEMU before 8.0 writes the virtio header in front of a frame: then its source is found there.
SOURCES = (slice(6, 12), slice(16, 22), slice(18, 24))


@dataclass(frozen=True)
class FramePath:
    """`places` lie in the order in which the question passes them; `asked` and `answered` say how often each saw it.

    `off_path` are further places that saw the question, as a bridge sees a broadcast. `largest_bytes` is the size of
    the largest question. `unheard` are the places that we may not listen at: of those only the kernel's counters are
    known, and `silent` says whether nothing at all that might be an answer came in meanwhile at the last of them.
    `tags` are the VLANs whose tags were seen there, `sources` and `targets` who the question was from and for there,
    `asked_as` who it was from at the first place, `answered_at` to which of the addresses and ports that had asked
    answers came in there, `dropped` is what the host's kernel threw away meanwhile, and `counted` what rules, filters
    and queues of the host counted.
    """

    exchange: Exchange
    places: tuple[str, ...]
    asked: tuple[int, ...]
    answered: tuple[int, ...]
    off_path: tuple[str, ...]
    unheard: tuple[str, ...]
    largest_bytes: int
    silent: bool = False
    tags: tuple[int, ...] = ()
    sources: tuple[str, ...] = ()
    asked_as: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()
    answered_at: tuple[tuple[str, int], ...] = ()
    dropped: tuple[Drop, ...] = ()
    counted: PathCounts = field(default_factory=dict, hash=False)

    @property
    def complete(self) -> bool:
        """Whether the answer came back to whoever had asked, and the question had got to whom it was for.

        A host that rejects QEMU's packets has QEMU refuse, as if it were the other machine.
        """
        return self.answered[0] > 0 and (bool(self.unheard) or all(self.asked))

    @property
    def gap(self) -> tuple[str, str, bool] | None:
        """The last place that saw the question, or else the answer, the next one, which did not, and whether it is
        the answer that is missing. None where all was seen everywhere, and where the last place saw no answer.
        """
        if self.asked[0] == 0:
            return None
        for number in range(1, len(self.places)):
            if not self.asked[number]:
                return self.places[number - 1], self.places[number], False
        for number in range(len(self.places) - 1, 0, -1):
            if self.answered[number] and not self.answered[number - 1]:
                return self.places[number], self.places[number - 1], True
        return None

    @property
    def plain(self) -> bool:
        """Whether one place has seen so many that the next would have seen some, were it by chance that none came."""
        if self.gap is None:
            return False
        before, _, of_answer = self.gap
        return (self.answered if of_answer else self.asked)[self.places.index(before)] >= NO_CHANCE

    @property
    def repeatedly_unanswered(self) -> bool:
        """Whether so many questions left at the last place that one would have been answered, had the others got lost
        by chance.
        """
        return min(self.asked) >= NO_CHANCE and not any(self.answered)

    @property
    def unanswered(self) -> bool:
        """Whether the question left at the last place, and no answer came in there."""
        return all(self.asked) and not any(self.answered) and (self.silent or not self.unheard)

    @property
    def thrown_away_at_last(self) -> int:
        """How many packets the last place's driver threw away that were to leave there."""
        return sum(drop.times for drop in self.dropped if drop.counter == f"{self.places[-1]}.tx_dropped")


def follow(
    exchange: Exchange,
    guest: Guest,
    station: Station,
    links: Sequence[str],
    off_path: Sequence[str],
    countable: bool = True,
) -> FramePath:
    """Ask once and see where it passes. `links` are the places on the host beyond the guest, nearest first.

    They are `countable` where the guest's own frames pass them, the first being its tap: then their counters stand in
    for what we may not listen to.
    """
    before, counted = counters(station, links), path_counts(station, links)
    with Captures(guest, station, [*links, *off_path]) as captures:
        if captures.unheard and countable and not exchange.inward:
            trying = Deadline(QUIET_SECONDS, "a quiet moment")
            path = _counted(exchange, guest, links, captures.unheard)
            for _ in range(QUIET_ATTEMPTS - 1):
                if path.complete or path.silent or path.gap or trying.passed:
                    break
                path = _counted(exchange, guest, links, captures.unheard)
        else:
            exchange.provoke()
            path = _watched(exchange, guest, lambda: _heard(exchange, captures, links, off_path))
    return replace(
        path,
        dropped=risen(before, counters(station, links)),
        counted=more_than(counted, path_counts(station, links)),
    )


def _watched(exchange: Exchange, guest: Guest, look: Callable[[], FramePath]) -> FramePath:
    """What became of a question, as soon as that is plain, and at the latest when nothing more is under way."""
    seen: list[FramePath] = []

    def told() -> bool:
        seen[:] = [look()]
        return seen[0].complete or seen[0].plain or not asks_still(guest)

    if exchange.beside:
        asking = Deadline(guest.pace.seconds(ASKING_SECONDS), "a guest to ask")
        asking.sees(told, interval_seconds=0.1)
    return seen[0] if seen and (seen[0].complete or seen[0].plain) else _settled(look, guest)


def _settled(look: Callable[[], FramePath], guest: Guest) -> FramePath:
    seen: list[FramePath] = []

    def without_gap() -> bool:
        seen[:] = [look()]
        return seen[0].gap is None or seen[0].plain

    arriving = Deadline(guest.pace.seconds(SETTLING_SECONDS), "what was under way")
    arriving.sees(without_gap, interval_seconds=0.05)
    return seen[0]


def _heard(exchange: Exchange, captures: Captures, links: Sequence[str], off_path: Sequence[str]) -> FramePath:
    on_the_way: list[Capture] = [captures.guest, *(captures.links[link] for link in links if link in captures.links)]
    if exchange.inward:
        on_the_way.reverse()
    # Each way in the order in which it is travelled: whatever was seen at a place can then be seen at the next.
    questions = [_matching(capture, exchange.asks) for capture in on_the_way]
    answers = [_matching(capture, exchange.answers) for capture in reversed(on_the_way)][::-1]
    last = captures.links.get(on_the_way[-1].place)
    # What was asked before, from another port, may be answered still.
    callers = {(packet.source, packet.first) for packet in questions[-1]}
    return FramePath(
        exchange,
        tuple(capture.place for capture in on_the_way),
        tuple(map(len, questions)),
        tuple(map(len, answers)),
        tuple(link for link in off_path if link in captures.links and _matching(captures.links[link], exchange.asks)),
        tuple(captures.unheard),
        max((packet.size_bytes for found in questions for packet in found), default=0),
        tags=tuple(sorted(last.tags)) if last else (),
        sources=tuple(sorted({packet.source for packet in questions[-1]})),
        asked_as=tuple(sorted({packet.source for packet in questions[0]})),
        targets=tuple(sorted({packet.target for packet in questions[-1]})),
        answered_at=tuple(sorted(callers & {(packet.target, packet.second) for packet in answers[-1]})),
    )


def _matching(capture: Capture, wanted: Callable[[Packet], bool]) -> list[Packet]:
    return [each for each in capture.packets() if wanted(each)]


def _counted(exchange: Exchange, guest: Guest, links: Sequence[str], unheard: Sequence[str]) -> FramePath:
    """The same by counters: what came in from the guest at its tap, and what went out behind."""
    # Read outside of what the guest's wire shows, so that whatever is seen there is counted.
    before, others_before = [_counters(link) for link in links], _from_others(links)
    wire = GuestCapture(guest)
    exchange.provoke()

    def look() -> FramePath:
        questions = _matching(wire, exchange.asks)
        answers = len(_matching(wire, exchange.answers))
        more = [(now[0] - then[0], now[1] - then[1]) for then, now in zip(before, map(_counters, links), strict=True)]
        # The tap takes in what the guest sends, its bridge what is meant for the host or what that passes on; what is
        # behind, be it a bridge as well, sends it.
        passed = [each[0 if number == 0 or (number == 1 and _is_bridge(links[1])) else 1]
                  for number, each in enumerate(more)]  # fmt: skip
        back = more[-1][1 if exchange.to_host else 0] if more else 0
        # What the guest sent beside, and what else the bridge sent on, may be all that left behind it.
        beside = passed[0] - len(questions) + _from_others(links) - others_before if passed else 0
        explained = len(links) > 1 and not exchange.to_host and passed[-1] <= beside
        return FramePath(
            exchange,
            (wire.place, *links),
            (len(questions), *(count if count >= len(questions) else 0 for count in passed)),
            (answers,) * (len(links) + 1),
            (),
            tuple(unheard),
            max((packet.size_bytes for packet in questions), default=0),
            # What came in and went on to the guest was no answer: that would have been seen there.
            silent=bool(more) and not explained and back <= _arrived(guest, wire, links),
        )

    return _watched(exchange, guest, look)


def _arrived(guest: Guest, wire: GuestCapture, links: Sequence[str]) -> int:
    """How many frames came to the guest that neither it nor its host had sent."""
    own = {bytes.fromhex(mac.replace(":", "")) for mac in (guest.macs[0], *map(_mac, links))}
    return sum(own.isdisjoint(frame[place] for place in SOURCES) for frame in wire.frames())


def _from_others(links: Sequence[str]) -> int:
    """How many packets a bridge has got so far, to send on, from its host and at ports that are not of the way."""
    bridge = Path("/sys/class/net", links[0], "master").resolve() if links else Path()
    ports = [port.name for port in (bridge / "brif").glob("*") if port.name not in links]
    return _counters(bridge.name)[1] + sum(_counters(port)[0] for port in ports)


def _is_bridge(link: str) -> bool:
    return Path("/sys/class/net", link, "bridge").is_dir()


def _mac(link: str) -> str:
    return read_text(MACHINE, f"/sys/class/net/{link}/address") or ""


def _counters(link: str) -> tuple[int, int]:
    """Packets that came in and were to go out at an interface so far.

    Those that its driver throws away, too: whoever listens sees them before it does, and a veth's driver throws away
    what is too large for the other end.
    """
    folder = Path("/sys/class/net", link, "statistics")
    try:
        came, went, thrown_away = (
            int((folder / name).read_text()) for name in ("rx_packets", "tx_packets", "tx_dropped")
        )
    except OSError:  # gone
        return 0, 0
    return came, went + thrown_away
