"""A recording on the terminal."""

from collections import Counter
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from qemunet_tests.throughput.judging.unusual_settings import oddities
from qemunet_tests.throughput.judging.verdicts import LEAST_BLOCKS, METRICS, SAME, Health, Judged, median
from qemunet_tests.throughput.recording import Recording
from qemunet_tests.throughput.recording_shapes import Meanwhile
from qemunet_tests.throughput.showing.headline import answer, title

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
    """Medians of what every arm reached, an arm a column."""
    arms = recording.session.arms
    table = Table("median of", box=None, padding=(0, 1))
    for arm in arms:
        table.add_column(f"{arm.name}\n{_short(arm.nic)}", justify="right")
    for metric, (_, unit, _) in METRICS.items():
        found = [median(recording, metric, arm.name, arm.nic) for arm in arms]
        if any(found):
            table.add_row(f"{metric}  {unit}", *(_number(value) for value in found))
    top = median(recording, "ceiling", None, None)
    if top:
        table.add_row("ceiling, no guest  Mbit/s", _number(top))
    return table


def ratios(judged: Sequence[Judged]) -> Table:
    """Every ratio with its 95 % interval, under the arms that are compared. `~` marks what is not significant."""
    table = Table("ratio of", "", "95 % interval", "p", "n", "verdict", box=None, padding=(0, 1))
    headed = None
    for each in judged:
        heading = (each.upper, each.lower, each.nic)
        if heading != headed:
            headed = heading
            beside = "  (A/A)" if each.twin else ""
            table.add_section()
            table.add_row(f"{each.upper} / {each.lower}{beside}", "", _short(each.nic), style="bold")
        found = each.ratio
        sure = each.verdict in ("faster", "slower")
        table.add_row(
            f"  {each.metric}",
            f"{'' if sure else '~'}{found.point:.3g}",
            f"{found.low:.3g} to {found.high:.3g}" if found.low and found.high else "-",
            "-" if found.p is None else f"{found.p:.3f}",
            str(len(found.blocks)),
            _verdict(each),
            style=STYLES.get(each.verdict, "") if len(found.blocks) >= LEAST_BLOCKS else "dim",
        )
    return table


def _verdict(each: Judged) -> str:
    if len(each.ratio.blocks) < LEAST_BLOCKS:
        return "too few"
    return f"none {each.reason.removesuffix(' shown')}" if each.verdict == SAME else each.verdict


def _short(nic: str) -> str:
    return nic.removesuffix("-pci")


def remarks(recording: Recording, machine: Health) -> list[str]:
    """What a reader must know beside the numbers."""
    said = []
    if machine.usable:
        said.append(f"A/A: the same configuration twice is the same, to ±{machine.half_width:.0%}.")
    else:
        said.append(f"A/A FAILED, no verdict: {machine.reason}.")
    whys = Counter(str(run.why_invalid) for run in recording.invalid_runs)
    said += [f"{count} of {len(recording.runs)} rows are invalid: {why}" for why, count in whys.items()]
    said += [f"Odd: {oddity}." for oddity in oddities(recording)]
    said += _company(recording)
    for arm in recording.session.arms:
        stalled = sum(run.values.get("stalls") or 0 for run in recording.valid_runs if run.of(arm))
        if stalled:
            said.append(f"{arm} stalled: {stalled} intervals of 0.25 s in which nothing arrived.")
    ended = recording.ended
    if ended is None:
        said.append("The recording was cut off: it has no last line.")
    elif ended.reason != "complete":
        said.append(f"The recording ended early: {ended.reason}.")
        if ended.missing:
            said.append(f"Not measured: {'; '.join(ended.missing)}.")
    if ended and not ended.precise:
        said.append("PRECISION NOT REACHED: the limit of blocks came before every ratio was known to ±15 %.")
    if recording.session.accel.used == "tcg":
        said.append("In software (TCG) NIC models rank otherwise than under KVM: do not carry the order over.")
    return said


def _company(recording: Recording) -> list[str]:
    """What else the machine did meanwhile."""
    seen = [run.machine for run in recording.runs if run.machine]
    if not seen:
        return []
    others = sorted(each.others_cpus for each in seen)
    stolen = sum(each.steal or 0 for each in seen) / max(sum(map(_ticks, seen)), 1)
    probes = sorted(each.probe_us for each in seen)
    return [
        f"Meanwhile others used {others[len(others) // 2]:.1f} CPUs (at most {others[-1]:.1f}), "
        f"{stolen:.0%} was stolen; fixed work took {probes[0] / 1000:.1f} to {probes[-1] / 1000:.1f} ms."
    ]


def _ticks(machine: Meanwhile) -> float:
    return sum(
        each or 0
        for each in (
            machine.user, machine.nice, machine.system, machine.idle,
            machine.iowait, machine.irq, machine.softirq, machine.steal,
        )
    )  # fmt: skip


def _number(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"
