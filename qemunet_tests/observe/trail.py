"""How far a question got, and how far its answer came back: listened to at every place of its way at once."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from qemunet_tests.harness.guest import Guest
from qemunet_tests.harness.lab.station import Station
from qemunet_tests.observe.exchanges import Exchange
from qemunet_tests.observe.packets import Packet
from qemunet_tests.observe.wiretaps import GuestWire, Wiretap, Wiretaps


@dataclass(frozen=True)
class Trail:
    """`places` lie in the order in which the question passes them; `asked` and `answered` say how often each saw it.

    `aside` are further places that saw the question, as a bridge sees a broadcast. `largest_bytes` is the size of the
    largest question. `deaf` are the places that we may not listen at: of those only the kernel's counters are known,
    and `silent` says whether nothing at all came in meanwhile at the last of them.
    """

    exchange: Exchange
    places: tuple[str, ...]
    asked: tuple[int, ...]
    answered: tuple[int, ...]
    aside: tuple[str, ...]
    deaf: tuple[str, ...]
    largest_bytes: int
    silent: bool = False

    @property
    def complete(self) -> bool:
        """Whether the answer came back to whoever had asked."""
        return self.answered[0] > 0

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
    def unanswered(self) -> bool:
        """Whether the question left at the last place, and no answer came in there."""
        return all(self.asked) and not any(self.answered) and (self.silent or not self.deaf)


def follow(
    exchange: Exchange,
    guest: Guest,
    station: Station,
    links: Sequence[str],
    aside: Sequence[str],
    countable: bool = True,
) -> Trail:
    """Ask once and see where it passes. `links` are the places on the host beyond the guest, nearest first.

    They are `countable` where the guest's own frames pass them, the first being its tap: then their counters stand in
    for what we may not listen to.
    """
    with Wiretaps(guest, station, [*links, *aside]) as taps:
        if taps.deaf and countable and not exchange.inward:
            counted = _counted(exchange, guest, links, taps.deaf)
            # Something else that comes in just then hides that no answer does: the second time may be quieter.
            return counted if counted.complete or counted.silent else _counted(exchange, guest, links, taps.deaf)
        exchange.provoke()
        heard: dict[str, Wiretap] = {**taps.links}
        on_the_way: list[Wiretap] = [taps.guest, *(taps.links[link] for link in links if link in taps.links)]
        if exchange.inward:
            on_the_way.reverse()
        questions = [_matching(tap, exchange.asks) for tap in on_the_way]
        answers = [_matching(tap, exchange.answers) for tap in on_the_way]
        beside = [link for link in aside if link in heard and _matching(heard[link], exchange.asks)]
        return Trail(
            exchange,
            tuple(tap.place for tap in on_the_way),
            tuple(map(len, questions)),
            tuple(map(len, answers)),
            tuple(beside),
            tuple(taps.deaf),
            max((packet.size_bytes for found in questions for packet in found), default=0),
        )


def _matching(tap: Wiretap, wanted: Callable[[Packet], bool]) -> list[Packet]:
    return [each for each in tap.packets() if wanted(each)]


def _counted(exchange: Exchange, guest: Guest, links: Sequence[str], deaf: Sequence[str]) -> Trail:
    """The same by counters: what came in from the guest at its tap, and what went out behind."""
    # Read outside of what the guest's wire shows, so that whatever is seen there is counted.
    before = [_counters(link) for link in links]
    wire = GuestWire(guest)
    exchange.provoke()
    questions = _matching(wire, exchange.asks)
    answers = len(_matching(wire, exchange.answers))
    risen = [(now[0] - then[0], now[1] - then[1]) for then, now in zip(before, map(_counters, links), strict=True)]
    forwarded = [came_in if number == 0 else went_out for number, (came_in, went_out) in enumerate(risen)]
    return Trail(
        exchange,
        (wire.place, *links),
        (len(questions), *(count if count >= len(questions) else 0 for count in forwarded)),
        (answers,) * (len(links) + 1),
        (),
        tuple(deaf),
        max((packet.size_bytes for packet in questions), default=0),
        silent=bool(risen) and risen[-1][0] == 0,
    )


def _counters(link: str) -> tuple[int, int]:
    """Packets that came in and went out at an interface so far."""
    folder = Path("/sys/class/net", link, "statistics")
    try:
        return int((folder / "rx_packets").read_text()), int((folder / "tx_packets").read_text())
    except OSError:  # gone
        return 0, 0
