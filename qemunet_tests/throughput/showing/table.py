"""A recording on the terminal."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from qemunet_tests.throughput.judging.verdicts import METRICS, SAME, Health, Judged, median
from qemunet_tests.throughput.recording import Recording
from qemunet_tests.throughput.showing.answer import answer, title

STYLES = {"faster": "green", "slower": "red", "no difference": "", "inconclusive": "yellow"}


def show(console: Console, recording: Recording, judged: Sequence[Judged], machine: Health) -> None:
    """The answer first, then rates, ratios, the A/A arm, and what was not valid."""
    console.print(answer(recording, judged, machine), highlight=False, markup=False)
    console.print()
    console.print(title(recording), highlight=False, markup=False, style="bold")
    console.print(rates(recording))
    console.print(ratios(judged))
    for sentence in remarks(recording, machine):
        console.print(sentence, highlight=False, markup=False)


def rates(recording: Recording) -> Table:
    """Medians of what every arm reached."""
    measured = [metric for metric in METRICS if any(run["values"].get(metric) for run in recording.valid_runs)]
    table = Table("arm", "NIC", title="medians", title_justify="left", box=None, padding=(0, 1))
    for metric in measured:
        table.add_column(f"{metric}\n{METRICS[metric][1]}", justify="right")
    for arm in recording.session["arms"]:
        found = [median(recording, metric, arm["name"], arm["nic"]) for metric in measured]
        table.add_row(arm["name"], arm["nic"], *(_number(value) for value in found))
    top = median(recording, "ceiling", None, None)
    if top:
        table.add_row("(ceiling)", "none", _number(top), *("" for _ in measured[1:]))
    return table


def ratios(judged: Sequence[Judged]) -> Table:
    """Every ratio with its 95 % interval. `~` marks what is not significant; the A/A arm is named so."""
    table = Table(box=None, padding=(0, 1), title="ratios", title_justify="left")
    for heading in ("metric", "NIC", "arms", "ratio", "95 % interval", "p", "n", "verdict"):
        table.add_column(heading, no_wrap=heading not in ("verdict", "arms"))
    for each in judged:
        found = each.ratio
        span = f"{found.low:.3g}-{found.high:.3g}" if found.low and found.high else "-"
        mark = "" if each.verdict in ("faster", "slower") else "~"
        verdict = f"no diff. {each.reason.removesuffix(' shown')}" if each.verdict == SAME else each.verdict
        table.add_row(
            each.metric,
            each.nic.removesuffix("-pci"),
            f"{each.upper}/{each.lower}",
            f"{mark}{found.point:.3g}",
            span,
            "-" if found.p is None else f"{found.p:.3f}",
            str(len(found.blocks)),
            f"A/A: {verdict}" if each.twin else verdict,
            style=STYLES.get(each.verdict, ""),
        )
    return table


def remarks(recording: Recording, machine: Health) -> list[str]:
    """What a reader must know beside the numbers."""
    said = []
    if machine.usable:
        said.append(f"A/A: the same configuration twice is the same, to ±{machine.half_width:.0%}.")
    else:
        said.append(f"A/A FAILED, no verdict: {machine.reason}.")
    whys = Counter(str(run["why_invalid"]) for run in recording.invalid_runs)
    said += [f"{count} of {len(recording.runs)} rows are invalid: {why}" for why, count in whys.items()]
    for arm in recording.session["arms"]:
        stalled = sum(run["values"].get("stalls") or 0 for run in recording.valid_runs if _of(run, arm))
        if stalled:
            said.append(f"{arm['name']} {arm['nic']} stalled: {stalled} intervals of 0.25 s in which nothing arrived.")
    ended = recording.ended
    if ended is None:
        said.append("The recording was cut off: it has no last line.")
    elif ended.get("reason") != "complete":
        said.append(f"The recording ended early: {ended.get('reason')}.")
    if ended and not ended.get("precise", True):
        said.append("PRECISION NOT REACHED: the limit of blocks came before every ratio was known to ±15 %.")
    if recording.session["accel"]["used"] == "tcg":
        said.append("In software (TCG) NIC models rank otherwise than under KVM: do not carry the order over.")
    return said


def _of(run: Mapping[str, Any], arm: Mapping[str, Any]) -> bool:
    return (run["arm"], run["nic"]) == (arm["name"], arm["nic"])


def _number(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"
