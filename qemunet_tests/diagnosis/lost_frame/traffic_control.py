"""Filters and queues at one interface, and what they count. Sources: tc(8), tc-actions(8), tc-stats(8)."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from qemunet_tests.diagnosis.lost_frame import queues
from qemunet_tests.host.obstacle import Obstacle
from qemunet_tests.isolation.station import Station

#: What tc calls a queue and filters hang on: what it counts as dropped, filters dropped, of both directions.
_OF_FILTERS = ("clsact", "ingress")
DIRECTIONS = ("ingress", "egress")
#: A program in a filter's place decides by itself, without an action that would be counted.
_DECIDES = "direct-action"
_FILTER = re.compile(r"^filter (?:parent \S+ )?protocol (?P<protocol>\S+) pref (?P<pref>\d+) ", re.MULTILINE)
_ACTION = re.compile(
    r"^\s*action order \d+:(?P<words>[^\n]*)(?P<rest>.*?)(?=^\s*action order|^filter |\Z)", re.M | re.S
)
_COUNTED = re.compile(r"Sent \d+ bytes (?P<sent>\d+) pkt \(dropped (?P<dropped>\d+)")
#: What takes a packet away from where it was going, and counts none as dropped.
_TAKES_AWAY = "Redirect"


@dataclass(frozen=True)
class FilterAction:
    """What a filter does with the packets it is about, and how many it has kept from going on."""

    words: str
    protocol: str
    preference: str
    stopped: int

    def remedy(self, link: str, direction: str) -> str:
        """What takes the filter away."""
        return f"sudo tc filter del dev {link} {direction} protocol {self.protocol} pref {self.preference}"


def actions(said: str) -> Iterator[FilterAction]:
    """Every action in what `tc -s filter show` says."""
    for one in re.split(r"^(?=filter )", said, flags=re.MULTILINE):
        about = _FILTER.match(one)
        if about is None:
            continue
        for action in _ACTION.finditer(one):
            words, counted = " ".join(action["words"].split()), _COUNTED.search(action["rest"])
            stopped = int(counted["sent" if _TAKES_AWAY in words else "dropped"]) if counted else 0
            yield FilterAction(words, about["protocol"], about["pref"], stopped)


def counts(station: Station, link: str) -> Iterator[tuple[str, int]]:
    """How much each filter and queue of a link has stopped so far. A queue counts what those within it dropped, too."""
    for direction in DIRECTIONS:
        for each in actions(_filters(station, link, direction)):
            yield _key(link, direction, each), each.stopped
    for one in station.run(f"tc -s qdisc show dev {link}").text.split("qdisc ")[1:]:
        counted = _COUNTED.search(one)
        if counted and one.startswith(_OF_FILTERS):
            yield _dropped_by_filters(link), int(counted["dropped"])
        elif counted and " root " in one.partition("\n")[0]:
            yield dropped_by(link), int(counted["dropped"])


def _filters(station: Station, link: str, direction: str) -> str:
    return station.run(f"tc -s filter show dev {link} {direction}").text


def dropped_by(link: str) -> str:
    return f"qdisc {link} dropped"


def _dropped_by_filters(link: str) -> str:
    return f"tc filters {link} dropped"


def _key(link: str, direction: str, action: FilterAction) -> str:
    return f"tc {direction} {link} {action.preference}: {action.words}"


def filters(station: Station, link: str, direction: str, risen: Mapping[str, int]) -> Iterator[tuple[Obstacle, bool]]:
    """What stands at a link in one direction, each with whether it is what has just stopped packets."""
    said = {each: _filters(station, link, each) for each in DIRECTIONS}
    found = list(actions(said[direction]))
    for each in found:
        reason = f"a tc {direction} filter on {link}: {each.words}"
        yield Obstacle(reason, each.remedy(link, direction)), _key(link, direction, each) in risen
    programs = [line for line in said[direction].splitlines() if _DECIDES in line]
    # Where several may have dropped something, none of them is known to have.
    both = "".join(said.values())
    alone = both.count(_DECIDES) == 1 and not [*actions(both)]
    for line in programs:
        yield _as_listed(link, direction, line), alone and _dropped_by_filters(link) in risen
    if said[direction] and not found and not programs:
        yield _as_listed(link, direction, said[direction].splitlines()[0]), False


def _as_listed(link: str, direction: str, line: str) -> Obstacle:
    """A filter whose doings are counted nowhere."""
    about = _FILTER.match(line)
    which = f" protocol {about['protocol']} pref {about['pref']}" if about else ""
    reason = f"a tc {direction} filter on {link}: {' '.join(line.split())}"
    return Obstacle(reason, f"sudo tc filter del dev {link} {direction}{which}")


def queue(station: Station, link: str, risen: Mapping[str, int]) -> Iterator[tuple[Obstacle, bool]]:
    """The queue of what leaves a link, if it has dropped something or is none of the harmless ones.

    It is shown to have acted where it dropped something. Packets that wait in it prove nothing: they may be
    others', or in another class of it.
    """
    found = re.match(r"qdisc (\S+)(.*)", station.run(f"tc qdisc show dev {link} root").text)
    lost = risen.get(dropped_by(link), 0)
    if not found or not (lost or found[1] not in queues.HARMLESS):
        return
    waits = not queues.empties(station, (link,), 0.0)
    counted = f", which dropped {lost} packets" if lost else ", in which packets wait" if waits else ""
    reason = f"the queue {found[1]} on {link}:{' '.join(found[2].split())}{counted}"
    yield Obstacle(reason, f"sudo tc qdisc del dev {link} root"), lost > 0
