"""Queues of what leaves an interface, and which of them held bulk data up. Sources: tc(8), tc-htb(8)."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from qemunet_tests.host.obstacle import Obstacle
from qemunet_tests.isolation.station import Station

_QUEUE = re.compile(
    r"^(?P<what>qdisc|class) (?P<kind>\S+) (?P<handle>\S+) (?P<words>.*)\n"
    r"\s*Sent (?P<sent_bytes>\d+) bytes (?P<sent>\d+) pkt \(dropped (?P<dropped>\d+),.*\n"
    r"(?:\s*rate .*\n)?\s*backlog \S+ (?P<waiting>\d+)p",
    re.MULTILINE,
)
#: Of what passes bulk data: so much of what the guest sent or got in that direction.
MOST_OF_IT = 0.5
#: How large a packet is taken for that was dropped: its size is counted nowhere.
FULL_SIZE = 1500
#: Of the packets that came to a queue that is too short for them: a queue that is long enough drops now and then one.
DROPPED = 0.01
#: Of the times that somebody looked: packets that have to wait mean that more come than may leave.
WAITING = 0.5
FEWEST_LOOKS = 4


@dataclass(frozen=True)
class QueueCounts:
    """What one queue, or one class of a queue, has counted so far. `words` are how it was set up."""

    kind: str
    words: str
    sent_bytes: int
    sent: int
    dropped: int
    waiting: int

    def remedy(self, link: str, handle: str) -> str:
        """What opens it: a whole queue goes, of several classes one is widened."""
        if handle:
            return f"sudo tc class change dev {link} classid {handle} {self.kind} rate 1gbit, or what {link} can bear"
        return f"sudo tc qdisc del dev {link} root"


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


def _counts(found: "re.Match[str]") -> QueueCounts:
    numbers = (int(found[name]) for name in ("sent_bytes", "sent", "dropped", "waiting"))
    return QueueCounts(found["kind"], " ".join(found["words"].split()), *numbers)


def held_up(link: str, looks: Sequence[Queues], ours_bytes: int) -> Iterator[Obstacle]:
    """The queue that most of `ours_bytes` passed between the looks, if it kept them waiting or dropped some.

    What a queue does to others' packets, or with what it has to spare, is no evidence.
    """
    first, last = looks[0], looks[-1]
    for handle, now in last.items():
        before = first.get(handle, QueueCounts(now.kind, now.words, 0, 0, 0, 0))
        sent, dropped = now.sent - before.sent, now.dropped - before.dropped
        if now.sent_bytes - before.sent_bytes + dropped * FULL_SIZE < MOST_OF_IT * ours_bytes:
            continue
        waited = sum(handle in look and look[handle].waiting > 0 for look in looks)
        lost = dropped >= max(1.0, DROPPED * (sent + dropped))
        slow = len(looks) >= FEWEST_LOOKS and waited >= WAITING * len(looks)
        if lost or slow:
            which = f"the class {handle} of the queue {now.kind}" if handle else f"the queue {now.kind}"
            did = (f"dropped {dropped} of {sent + dropped}" if lost else "", "kept others waiting" if slow else "")
            reason = f"{which} on {link} ({now.words}), which {' and '.join(filter(None, did))} packets"
            yield Obstacle(reason.replace("waiting packets", "waiting"), now.remedy(link, handle))
