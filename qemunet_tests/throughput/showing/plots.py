"""Plots of a recording, by matplotlib, as SVG and PNG. Every title names accelerator and placement."""

import contextlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from qemunet_tests import cache
from qemunet_tests.errors import UsageError
from qemunet_tests.isolation.folder import Folder, opened
from qemunet_tests.throughput.judging.verdicts import METRICS, Health, Judged, median
from qemunet_tests.throughput.recording import Recording
from qemunet_tests.throughput.recording_shapes import MeasuredArm, Run
from qemunet_tests.throughput.showing.headline import title

FORMATS = ("svg", "png")
SHOWN_RUNS = 6


def draw(recording: Recording, judged: Sequence[Judged], machine: Health, folder: Path) -> list[Path]:
    """Forest plot, rates with CPU cost, intervals over time, latencies. Raises UsageError for an unwritable folder."""
    folder = folder.absolute()
    try:
        figure_class = load_library()
        with opened(folder, make=True) as place:
            return [
                path
                for name, plot in PLOTS.items()
                if plot(figure := figure_class(figsize=(9, 6), layout="constrained"), recording, judged)
                for path in _save(figure, f"{name}: {title(recording)}\n{_again(machine)}", name, place)
            ]
    except OSError as error:
        raise UsageError(f"--plots {folder}: {error.strerror}") from error


def load_library() -> Any:
    """Import matplotlib, and return what makes a figure.

    It would take its settings from the folder that the caller is in, and write a list of fonts where HOME says, through
    any link: sudo and su may have left root with the HOME of somebody else.
    Raises OSError and, where the cache is somebody else's, UsageError.
    """
    if os.geteuid() == 0:
        cache.claim()
        os.environ["MPLCONFIGDIR"] = str(cache.make("matplotlib"))
    with contextlib.chdir("/"):
        from matplotlib.figure import Figure
    return Figure


def _save(figure: Any, heading: str, name: str, place: Folder) -> Iterator[Path]:
    figure.suptitle(heading, fontsize=9)
    for kind in FORMATS:
        with place.replacing(f"{name}.{kind}") as stream:
            figure.savefig(stream, format=kind)
        yield place.path / f"{name}.{kind}"


def _again(machine: Health) -> str:
    """What the A/A arm says of all that is shown."""
    if machine.usable:
        return f"A/A: the same configuration twice is the same, to ±{machine.half_width:.0%}"
    return f"A/A FAILED, no verdict: {machine.reason}"


def _better(metric: str) -> str:
    return "more is better" if METRICS[metric][2] else "less is better"


def _panels(figure: Any, metrics: Sequence[str]) -> Iterator[tuple[Any, str]]:
    """A panel for each metric and no other, each with its name, its unit and the side that is better."""
    columns = min(len(metrics), 2)
    rows = -(-len(metrics) // 2)
    for number, metric in enumerate(metrics, 1):
        axes = figure.add_subplot(rows, columns, number)
        axes.set_title(f"{METRICS[metric][0]}, {METRICS[metric][1]}: {_better(metric)}", fontsize=8)
        yield axes, metric


def _measured(recording: Recording, metrics: Sequence[str]) -> list[str]:
    """Those of which there is a valid row of an arm."""
    return [metric for metric in metrics if any(_runs(recording, arm, metric) for arm in recording.session.arms)]


def _forest(figure: Any, _: Recording, judged: Sequence[Judged]) -> bool:
    """Ratios with their intervals on a logarithmic axis; every block is a dot."""
    from matplotlib.ticker import LogLocator, NullFormatter

    axes = figure.subplots()
    rows = list(reversed(judged))
    for height, each in enumerate(rows):
        found = each.ratio
        axes.plot(found.blocks, [height + 0.18] * len(found.blocks), ".", color="tab:gray", markersize=4)
        if found.low and found.high:
            axes.plot([found.low, found.high], [height, height], "-", color="tab:blue")
        axes.plot([found.point], [height], "s", color="tab:orange" if each.twin else "tab:blue")
    axes.axvline(1.0, color="black", linewidth=0.8)
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_formatter(NullFormatter())
    labels = [
        f"{each.metric} {each.nic.removesuffix('-pci')} {each.upper}/{each.lower}\n"
        f"{each.upper} is better {'right' if METRICS[each.metric][2] else 'left'} of 1"
        for each in rows
    ]
    axes.set_yticks(range(len(rows)), labels, fontsize=6)
    axes.set_xlabel("ratio, 95 % interval; dots are blocks; orange is A/A")
    return bool(rows)


def _rates(figure: Any, recording: Recording, _: Sequence[Judged]) -> bool:
    """Median rates beside what a gigabyte costs."""
    arms = recording.session.arms
    metrics = _measured(recording, ("tcp.g2h", "tcp.h2g", "guest_time.g2h", "guest_time.h2g", "cpu.g2h", "cpu.h2g"))
    for axes, metric in _panels(figure, metrics):
        values = [median(recording, metric, arm.name, arm.nic) or 0.0 for arm in arms]
        axes.bar(range(len(arms)), values, color="tab:red" if metric.startswith("cpu") else "tab:blue")
        for number, arm in enumerate(arms):
            points = recording.rates(metric, arm.name, arm.nic)
            axes.plot([number] * len(points), points, ".", color="black", markersize=3)
        axes.set_xticks(range(len(arms)), [_label(arm) for arm in arms], rotation=25, fontsize=6)
    return bool(metrics)


def _intervals(figure: Any, recording: Recording, _: Sequence[Judged]) -> bool:
    """What arrived in every quarter of a second, of each arm's first transfers."""
    metrics = _measured(recording, ("tcp.g2h", "tcp.h2g"))
    for axes, metric in _panels(figure, metrics):
        for colour, arm in enumerate(recording.session.arms):
            for number, run in enumerate(_runs(recording, arm, metric)[:SHOWN_RUNS]):
                spans = [
                    (end, moved * 8 / (end - start) / 1e6) for start, end, moved in run.intervals or () if end > start
                ]
                label = _label(arm) if number == 0 else None
                axes.plot(*zip(*spans, strict=True), color=f"C{colour}", alpha=0.6, linewidth=0.9, label=label)
        axes.set_xlabel("s")
        axes.legend(fontsize=6)
    return bool(metrics)


def _latency(figure: Any, recording: Recording, _: Sequence[Judged]) -> bool:
    """How the times of single exchanges are distributed."""
    metrics = _measured(recording, ("tcp.rr", "tcp.crr"))
    for number, metric in enumerate(metrics, 1):
        axes = figure.add_subplot(1, len(metrics), number)
        for arm in recording.session.arms:
            taken = sorted(each for run in _runs(recording, arm, metric) for each in run.us or ())
            if taken:
                axes.plot(taken, [number / len(taken) for number in range(len(taken))], label=_label(arm))
        axes.set_xscale("log")
        axes.set_xlabel("µs")
        axes.set_title(f"{METRICS[metric][0]}, share of exchanges: further left is better", fontsize=8)
        axes.legend(fontsize=6)
    return bool(metrics)


def _runs(recording: Recording, arm: MeasuredArm, metric: str) -> list[Run]:
    return [run for run in recording.valid_runs if run.of(arm) and run.values.get(metric)]


def _label(arm: MeasuredArm) -> str:
    return str(arm).removesuffix("-pci")


PLOTS = {"ratios": _forest, "rates": _rates, "intervals": _intervals, "latency": _latency}
