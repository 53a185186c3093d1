"""Queues of what leaves an interface, and which of them held bulk data up. Sources: tc(8), tc-htb(8)."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from qemunet_tests.deadline import Deadline
from qemunet_tests.host.obstacle import Obstacle
from qemunet_tests.isolation.station import Station

#: Those that keep packets as long as the link is busy, and throw none away unless they are full.
HARMLESS = ("noqueue", "pfifo_fast", "fq_codel", "fq", "mq")
_QUEUE = re.compile(
    r"^(?P<what>qdisc|class) (?P<kind>\S+) (?P<handle>\S+) (?P<words>.*)\n"
    r"\s*Sent (?P<sent_bytes>\d+) bytes (?P<sent>\d+) pkt \(dropped (?P<dropped>\d+),.*\n"
    r"(?:\s*rate .*\n)?\s*backlog (?P<waiting_bytes>\d+)(?P<unit>[KM]?)b (?P<waiting>\d+)p",
    re.MULTILINE,
)
_UNITS = {"": 1, "K": 1024, "M": 1024 * 1024}
#: Of what the guest sent or got in that direction: as much came to the queue that it passed, give or take.
LEAST, MOST = 0.5, 2.0
#: Bytes. How large a packet is taken for that was dropped: its size is counted nowhere.
FULL_SIZE = 1500
#: Of the packets that came to a queue that is too short for them: a queue that is long enough drops now and then one.
DROPPED = 0.01
#: Of the times that somebody looked: packets that have to wait mean that more come than may leave.
WAITING = 0.5
FEWEST_LOOKS = 4
#: Of full-size packets: who sent hardly any cannot have been held up by a queue.
FEWEST = 4
#: Seconds between two looks at a queue.
BETWEEN_LOOKS = 0.2


@dataclass(frozen=True)
class QueueCounts:
    """What one queue, or one class of a queue, has counted so far. `words` are how it was set up."""

    kind: str
    words: str
    sent_bytes: int
    sent: int
    dropped: int
    waiting: int
    waiting_bytes: int


#: By the class's handle; a queue without classes of its own kind's has none, "".
Queues = Mapping[str, QueueCounts]


def queues(station: Station, link: str) -> Queues:
    """What leaves a link passes one of these: the classes that share it out, or the one queue there is."""
    said = station.run(f"tc -s qdisc show dev {link} root; tc -s class show dev {link}").text
    found = list(_QUEUE.finditer(said))
    if not found:
        return {}
    root, *others = found
    # Those of fq_codel and the like are flows, and of tbf the queue itself.
    shares = [each for each in others if each["kind"] == root["kind"] and "rate" in each["words"].split()]
    return {each["handle"]: _counts(each) for each in shares} or {"": _counts(root)}


def empties(station: Station, links: Sequence[str], within_seconds: float) -> bool:
    """Whether no packet waits any more to leave the links, in a queue that keeps some back: awaited."""

    def empty() -> bool:
        found = [each for link in links for each in queues(station, link).values()]
        return not any(each.waiting for each in found if each.kind not in HARMLESS)

    return Deadline(within_seconds, "an empty queue").sees(empty, interval_seconds=BETWEEN_LOOKS)


def _counts(found: "re.Match[str]") -> QueueCounts:
    return QueueCounts(
        kind=found["kind"],
        words=" ".join(found["words"].split()),
        sent_bytes=int(found["sent_bytes"]),
        sent=int(found["sent"]),
        dropped=int(found["dropped"]),
        waiting=int(found["waiting"]),
        waiting_bytes=int(found["waiting_bytes"]) * _UNITS[found["unit"]],
    )


def held_up(link: str, looks: Sequence[Queues], ours_bytes: int) -> Iterator[Obstacle]:
    """The queue that `ours_bytes` passed between the looks, if it kept them waiting or dropped some.

    What a queue does to others' packets, or with what it has to spare, is no evidence. Of several classes it is
    the only one that is short of room, and as much came to it as was ours.
    """
    if ours_bytes < FEWEST * FULL_SIZE:
        return
    found = [spell for handle in looks[-1] if (spell := _Spell.of(handle, looks)).short]
    if len(found) == 1 and found[0].has_ours(ours_bytes):
        yield Obstacle(f"{found[0].name} on {link} ({found[0].now.words}), which {found[0].did}", found[0].remedy(link))


@dataclass(frozen=True)
class _Spell:
    """What one queue did between the first look and the last: the bytes of what came and was not dropped, and what did.

    `waited` is how many of the looks saw packets in it.
    """

    handle: str
    now: QueueCounts
    came_bytes: int
    sent: int
    dropped: int
    waited: int
    looks: int

    @classmethod
    def of(cls, handle: str, looks: Sequence[Queues]) -> "_Spell":
        now = looks[-1][handle]
        before = looks[0].get(handle, QueueCounts(now.kind, now.words, 0, 0, 0, 0, 0))
        waited = sum(handle in look and look[handle].waiting > 0 for look in looks)
        came = now.sent_bytes + now.waiting_bytes - before.sent_bytes - before.waiting_bytes
        spent = (came, now.sent - before.sent, now.dropped - before.dropped)
        return cls(handle, now, *spent, waited, len(looks))

    @property
    def lossy(self) -> bool:
        return self.dropped >= max(1.0, DROPPED * (self.sent + self.dropped))

    @property
    def slow(self) -> bool:
        return self.looks >= FEWEST_LOOKS and self.waited >= WAITING * self.looks

    @property
    def short(self) -> bool:
        return self.lossy or self.slow

    def has_ours(self, ours_bytes: int) -> bool:
        if self.handle:
            # How large packets were that it dropped is not told, nor whose they were.
            return LEAST * ours_bytes <= self.came_bytes <= MOST * ours_bytes
        return self.came_bytes + self.dropped * FULL_SIZE >= LEAST * ours_bytes

    @property
    def name(self) -> str:
        return f"the class {self.handle} of the queue {self.now.kind}" if self.handle else f"the queue {self.now.kind}"

    @property
    def did(self) -> str:
        lost = f"dropped {self.dropped} of {self.sent + self.dropped} packets" if self.lossy else ""
        return " and ".join(filter(None, (lost, "kept packets waiting" if self.slow else "")))

    def remedy(self, link: str) -> str:
        """What opens it: a whole queue goes, of several classes one is widened."""
        if self.handle:
            kind = self.now.kind
            return f"sudo tc class change dev {link} classid {self.handle} {kind} rate 1gbit, or what {link} can bear"
        return f"sudo tc qdisc del dev {link} root"
