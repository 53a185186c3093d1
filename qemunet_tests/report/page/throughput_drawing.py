"""Where things stand in the plots of a recording: rows of rates, exchanges by their time, transfers over time.

Lengths are the units of the drawings' own coordinates. What a recording says may be a stranger's: whatever is drawn
lies within its plot.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import median

from qemunet_tests.report.shapes import RecordedArm, RecordedThroughput
from qemunet_tests.throughput.judging.verdicts import METRICS

WIDTH, LEFT, RIGHT = 360, 6, 354
#: Of a row with its name above it, and of a plot of curves.
ROW, HEIGHT, TOP = 34, 170, 10
LINE_STYLES = 6
MOST_TICKS = 5


@dataclass(frozen=True)
class RowsOfArm:
    """What each valid row of an arm says, as dots, and their median."""

    name: str
    y: float
    dots: list[float]
    median_x: float
    median: str


@dataclass(frozen=True)
class RowsPlot:
    """A metric of all arms, from nothing to the most that any row says."""

    heading: str
    rows: list[RowsOfArm]
    height: float
    most: str


@dataclass(frozen=True)
class PlottedCurve:
    """An arm's line, in a style of its own, as SVG writes a path."""

    name: str
    style: int
    path: str


@dataclass(frozen=True)
class CurvesPlot:
    """Lines of several arms; `ticks` are along the bottom, `most` is what the top is."""

    heading: str
    curves: list[PlottedCurve]
    ticks: list[tuple[float, str]]
    most: str
    height: float = HEIGHT


def rows_plots(recording: RecordedThroughput) -> list[RowsPlot]:
    """A plot for each metric that was measured."""
    return [plot for metric in METRICS if (plot := _rows_plot(recording, metric))]


def _rows_plot(recording: RecordedThroughput, metric: str) -> RowsPlot | None:
    arms = [(arm, values) for arm in recording.arms if (values := _finite(arm.rows.get(metric, ())))]
    if not arms:
        return None
    name, unit, higher = METRICS[metric]
    most = max(each for _, values in arms for each in values) or 1.0
    rows = []
    for number, (arm, values) in enumerate(arms):
        middle = median(values)
        dots = [_along(each / most) for each in values]
        rows.append(RowsOfArm(_name(arm), ROW * number + 24, dots, _along(middle / most), plain_number(middle)))
    better = "more is better" if higher else "less is better"
    return RowsPlot(f"{name}, {unit}: {better}", rows, ROW * len(rows) + 4, plain_number(most))


def exchange_plots(recording: RecordedThroughput) -> list[CurvesPlot]:
    """The share of exchanges that took no longer, on a logarithmic line of microseconds."""
    return [plot for metric in ("tcp.rr", "tcp.crr") if (plot := _exchange_plot(recording, metric))]


def _exchange_plot(recording: RecordedThroughput, metric: str) -> CurvesPlot | None:
    arms = [(arm, taken) for arm in recording.arms if len(taken := _positive(arm.exchange_us.get(metric, ()))) > 1]
    if not arms:
        return None
    low = math.floor(math.log10(min(min(taken) for _, taken in arms)))
    high = max(math.ceil(math.log10(max(max(taken) for _, taken in arms))), low + 1)
    curves = []
    for number, (arm, taken) in enumerate(arms):
        points = [((math.log10(each) - low) / (high - low), part / (len(taken) - 1)) for part, each in enumerate(taken)]
        curves.append(PlottedCurve(_name(arm), number % LINE_STYLES, _path(points)))
    step = math.ceil((high - low) / MOST_TICKS)
    ticks = [(_along((power - low) / (high - low)), _microseconds(power)) for power in range(low, high + 1, step)]
    return CurvesPlot(f"{METRICS[metric][0]}, share of exchanges: further left is better", curves, ticks, "all")


def transfer_plots(recording: RecordedThroughput) -> list[CurvesPlot]:
    """What arrived in each part of the first transfers."""
    return [plot for metric in ("tcp.g2h", "tcp.h2g") if (plot := _transfer_plot(recording, metric))]


def _transfer_plot(recording: RecordedThroughput, metric: str) -> CurvesPlot | None:
    curves = [
        (arm, number % LINE_STYLES, spans)
        for number, arm in enumerate(recording.arms)
        for transfer in arm.over_time.get(metric, ())
        if (spans := [each for each in transfer if all(map(math.isfinite, each)) and min(each) >= 0])
    ]
    if not curves:
        return None
    longest = max(end for _, _, spans in curves for end, _ in spans) or 1.0
    most = max(rate for _, _, spans in curves for _, rate in spans) or 1.0
    drawn = [
        PlottedCurve(_name(arm), style, _path([(end / longest, rate / most) for end, rate in spans]))
        for arm, style, spans in curves
    ]
    ticks = [(_along(part / 4), f"{longest * part / 4:.2g} s") for part in range(5)]
    return CurvesPlot(f"{METRICS[metric][0]} over time, first transfers", drawn, ticks, f"{plain_number(most)} Mbit/s")


def _microseconds(power: int) -> str:
    """A power of ten, in the unit in which people say it."""
    exponent, unit = (0, "µs") if power < 3 else (3, "ms") if power < 6 else (6, "s")
    return f"{float(f'1e{power - exponent}'):g} {unit}"


def plain_number(value: float) -> str:
    """Three digits as people write them; beyond a million with an exponent."""
    return f"{value:.0f}" if 1000 <= value < 1e6 else f"{value:.3g}"


def legend(plot: CurvesPlot) -> Iterator[PlottedCurve]:
    """Each style once."""
    yield from {each.style: each for each in reversed(plot.curves)}.values()


def _path(points: Sequence[tuple[float, float]]) -> str:
    """Points of which both parts go from 0 to 1."""
    return "M" + "L".join(f"{_along(x)} {round(HEIGHT - 24 - y * (HEIGHT - 24 - TOP), 1)}" for x, y in points)


def _along(part: float) -> float:
    return round(LEFT + min(max(part, 0.0), 1.0) * (RIGHT - LEFT), 1)


def _name(arm: RecordedArm) -> str:
    return f"{arm.arm} {arm.nic.removesuffix('-pci')}"[:40]


def _finite(values: Sequence[float]) -> list[float]:
    return [each for each in values if math.isfinite(each) and each >= 0]


def _positive(values: Sequence[float]) -> list[float]:
    return [each for each in values if math.isfinite(each) and each > 0]
