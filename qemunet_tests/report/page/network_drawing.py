"""Where things stand in the drawings: the network with what was lost in it, and the way of one frame.

The places of the network are those of its plan; a frame's way is drawn from what was listened at, whatever that was.
Lengths are the units of the drawing's own coordinates.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from qemunet_tests.report.page.network_plan import (
    BACKEND_Y,
    BRIDGE_Y,
    GUEST_IN_QEMU,
    GUEST_ON_LAN,
    GUEST_Y,
    NODE_WIDTH,
    RIGHT,
    Box,
    LineEnds,
    NetworkPlan,
)
from qemunet_tests.report.shapes import ClaimVerdict, FrameLoss, RecordedRatio

GUESTS_NIC = "the guest's NIC"
#: Of the line that an interval lies on.
LINE_WIDTH = 160
#: Of one frame's way.
STEP, LONGEST_NAME = 134, 16


@dataclass(frozen=True)
class Mark:
    """Where frames were lost, and the numbers of the causes."""

    x: float
    y: float
    label: str


@dataclass(frozen=True)
class NetworkDrawing:
    """The whole network: boxes, lines between points, and where frames were lost."""

    boxes: Sequence[Box]
    lines: Sequence[LineEnds]
    marks: list[Mark]


def network(plan: NetworkPlan, losses: Iterable[tuple[str, Iterable[ClaimVerdict]]]) -> NetworkDrawing:
    """The plan, marked where the frames of these causes were lost; a cause is a number and its claims."""
    marked: dict[tuple[float, float], list[str]] = {}
    for number, claims in losses:
        found = {place for each in claims if each.lost and (place := _place_of(plan, each.mode, each.lost))}
        for place in sorted(found):
            marked.setdefault(place, []).append(number)
    return NetworkDrawing(
        plan.boxes, plan.lines, [Mark(*place, ", ".join(numbers)) for place, numbers in marked.items()]
    )


def _place_of(plan: NetworkPlan, mode: str, lost: FrameLoss) -> tuple[float, float] | None:
    """In the middle between where it was seen and where it was missed; None for a place that is not drawn."""
    before = _box(plan, mode, lost.seen_at)
    if before is None:
        return None
    if lost.missed_at is None:
        return (before.x, before.y - (48 if before.y == GUEST_Y else 27))
    after = _box(plan, mode, lost.missed_at)
    if after is None:
        return None
    if GUEST_IN_QEMU in (before, after):
        return (RIGHT, (BACKEND_Y + BRIDGE_Y) / 2)
    middle = (before.y + after.y) / 2
    # Something stands between the two: what it is called stays readable.
    beside = any(box.x == before.x and box.y == middle for box in plan.boxes)
    return (before.x - NODE_WIDTH / 2 if beside else before.x, middle)


def _box(plan: NetworkPlan, mode: str, place: str) -> Box | None:
    if place == GUESTS_NIC:
        return {"bridge": GUEST_ON_LAN, "user": GUEST_IN_QEMU}.get(mode)
    if place in plan.links:
        return plan.links[place]
    return plan.tap if place.startswith("tap") else None


@dataclass(frozen=True)
class FrameWay:
    """The way of one frame: its places in a row, and between which two it was lost. `back`: it was the answer."""

    boxes: list[Box]
    lost_x: float
    back: bool
    width: float
    sentence: str


def chain(lost: FrameLoss) -> FrameWay:
    """Drawn from what was listened at. Beyond the last place nobody listens: that is drawn as a place of its own."""
    places = list(lost.places)
    missed = lost.missed_at
    if missed is None:
        places.append("beyond")
        sentence = f"{lost.what}: seen last at {lost.seen_at}; no answer came in there"
    else:
        sentence = f"{lost.what}: seen at {lost.seen_at}, not at {missed}"
    middles = {place: STEP * number + STEP / 2 for number, place in enumerate(places)}
    ends = [middles[place] for place in (lost.seen_at, missed or "beyond") if place in middles]
    return FrameWay(
        boxes=[Box(middles[place], 26, _short(place)) for place in middles],
        lost_x=sum(ends) / len(ends) if ends else -STEP,
        back=ends != sorted(ends),
        width=STEP * len(places),
        sentence=sentence,
    )


def _short(name: str) -> str:
    return name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 1]}…"


@dataclass(frozen=True)
class IntervalDrawing:
    """A ratio and the ends of its interval on a logarithmic line from 0.01 to 100 times, one in its middle."""

    x: float
    low_x: float
    high_x: float
    blocks_x: list[float]


def interval(found: RecordedRatio) -> IntervalDrawing:
    point, low, high = (_on_line(each or found.ratio) for each in (found.ratio, found.low, found.high))
    return IntervalDrawing(point, low, high, [_on_line(each) for each in found.blocks])


def _on_line(ratio: float) -> float:
    within = min(max(ratio, 0.01), 100.0) if not math.isnan(ratio) else 1.0
    return round(LINE_WIDTH / 2 * (1 + math.log10(within) / 2), 1)
