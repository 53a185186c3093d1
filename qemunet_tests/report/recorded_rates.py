"""What recordings of this host say, for a page that tells of its modes.

`qemunet record` keeps them in the cache, or where it is told to: one that lies in the report's folder is taken as well,
whichever is the younger. It must be of the machine, the QEMU and the accelerator that the results are of.
"""

from pathlib import Path
from statistics import median, quantiles

from qemunet_tests.errors import UsageError
from qemunet_tests.host.machine_identity import machine_id
from qemunet_tests.report.shapes import RecordedArm, RecordedRatio, RecordedThroughput, Results
from qemunet_tests.throughput.judging.verdicts import GOODPUT, METRICS
from qemunet_tests.throughput.latest_recording import latest
from qemunet_tests.throughput.recording import Recording, read
from qemunet_tests.throughput.recording_shapes import MeasuredArm, Run
from qemunet_tests.throughput.session import binary_of

#: Of each arm's transfers, so many are drawn over time, with so many points at most.
MOST_TRANSFERS, MOST_POINTS = 3, 60
#: Times of exchanges are kept as percentiles, in steps of a twentieth.
PARTS = 20


def with_recording(results: Results, folder: Path) -> Results:
    """The results with the youngest such recording in the report's folder or in the cache, if there is one."""
    found = [each for each in (_beside(results, folder), _in_the_cache(results)) if each]
    return _with_youngest(results, found)


def with_recording_beside(results: Results, folder: Path) -> Results:
    """The same of the folder alone: results that are drawn anew may be another machine's, and keep what they say."""
    beside = _beside(results, folder)
    if beside and results.recording and results.recording.at >= beside.session.at:
        return results
    return _with_youngest(results, [beside] if beside else [])


def _with_youngest(results: Results, found: list[Recording]) -> Results:
    youngest = max(found, key=lambda each: each.session.at, default=None)
    return results.model_copy(update={"recording": summed_up(youngest)}) if youngest else results


def _in_the_cache(results: Results) -> Recording | None:
    try:
        binary = binary_of(Path(results.qemu.path)) if results.qemu.path else None
    except OSError:  # gone meanwhile
        binary = None
    if binary is None or results.accel.used is None:
        return None
    return latest(machine_id(), binary, results.accel.used, set())


def _beside(results: Results, folder: Path) -> Recording | None:
    """The youngest whole one in a folder; what cannot be read is passed over."""
    found = []
    for path in sorted(folder.glob("*.jsonl")):
        try:
            recording = read(path) if path.is_file() else None
        except UsageError:
            continue
        if recording and recording.ended and _is_of(recording, results):
            found.append(recording)
    return max(found, key=lambda each: each.session.at, default=None)


def _is_of(recording: Recording, results: Results) -> bool:
    session, qemu = recording.session, results.qemu
    return not session.guest_time and (
        (session.machine.id, session.qemu.path, session.qemu.version, session.qemu.slirp, session.accel.used)
        == (results.host.id, qemu.path, qemu.version, qemu.slirp, results.accel.used)
    )


def summed_up(recording: Recording) -> RecordedThroughput:
    """Medians and rows by arm, and what the recording itself says of its ratios."""
    ended = recording.ended
    return RecordedThroughput(
        at=recording.session.at,
        placed=recording.session.placed,
        usable=bool(ended and ended.usable),
        why_unusable=ended.why_unusable if ended else "it was cut off",
        arms=[_arm(recording, arm) for arm in recording.session.arms],
        ratios=[
            RecordedRatio(**each.model_dump(include=set(RecordedRatio.model_fields))) for each in recording.summaries
        ],
    )


def _arm(recording: Recording, arm: MeasuredArm) -> RecordedArm:
    rates = {metric: recording.rates(metric, arm.name, arm.nic) for metric in METRICS}

    def middle(metric: str) -> float | None:
        return round(median(rates[metric]), 3) if rates[metric] else None

    rows = [run for run in recording.valid_runs if run.of(arm)]
    transfers = [run for run in recording.runs if run.of(arm) and run.measures in GOODPUT]
    return RecordedArm(
        arm=arm.name,
        nic=arm.nic,
        g2h_mbit_per_second=middle("tcp.g2h"),
        h2g_mbit_per_second=middle("tcp.h2g"),
        g2h_cpu_seconds_per_gb=middle("cpu.g2h"),
        h2g_cpu_seconds_per_gb=middle("cpu.h2g"),
        proof=next((run.proof.found for run in rows if run.proof), None),
        transfers=len(transfers),
        proven=sum(run.valid and run.proof is not None for run in transfers),
        rows={metric: [round(each, 3) for each in values] for metric, values in rates.items() if values},
        exchange_us={metric: taken for metric in ("tcp.rr", "tcp.crr") if (taken := _percentiles(rows, metric))},
        over_time={metric: spans for metric in GOODPUT if (spans := _over_time(rows, metric))},
    )


def _percentiles(rows: list[Run], metric: str) -> list[float]:
    taken = sorted(each for run in rows if run.values.get(metric) for each in run.us or ())
    if len(taken) < PARTS:
        return []
    return [round(each, 1) for each in (taken[0], *quantiles(taken, n=PARTS, method="inclusive"), taken[-1])]


def _over_time(rows: list[Run], metric: str) -> list[list[tuple[float, float]]]:
    """For the first transfers, when each interval ended and its Mbit/s."""
    transfers = [run.intervals for run in rows if run.values.get(metric) and run.intervals]
    return [
        [(end, round(moved * 8 / (end - start) / 1e6, 3)) for start, end, moved in each if end > start][:MOST_POINTS]
        for each in transfers[:MOST_TRANSFERS]
    ]
