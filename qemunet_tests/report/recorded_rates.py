"""What the last recording of this host says, for a page that tells of its modes."""

from pathlib import Path
from statistics import median

from qemunet_tests.host.machine_identity import machine_id
from qemunet_tests.report.shapes import RecordedArm, RecordedRatio, RecordedThroughput, Results
from qemunet_tests.throughput.latest_recording import latest
from qemunet_tests.throughput.recording import Recording
from qemunet_tests.throughput.recording_shapes import MeasuredArm
from qemunet_tests.throughput.session import binary_of


def with_recording(results: Results) -> Results:
    """The results with the last recording of the same machine, QEMU and accelerator, where there is one."""
    try:
        binary = binary_of(Path(results.qemu.path)) if results.qemu.path else None
    except OSError:  # gone meanwhile
        binary = None
    if binary is None or results.accel.used is None:
        return results
    found = latest(machine_id(), binary, results.accel.used, set())
    return results.model_copy(update={"recording": summed_up(found)}) if found else results


def summed_up(recording: Recording) -> RecordedThroughput:
    """Medians by arm, and what the recording itself says of its ratios."""
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
    def middle(metric: str) -> float | None:
        rates = recording.rates(metric, arm.name, arm.nic)
        return round(median(rates), 3) if rates else None

    proof = next((run.proof.found for run in recording.valid_runs if run.of(arm) and run.proof), None)
    return RecordedArm(
        arm=arm.name,
        nic=arm.nic,
        g2h_mbit_per_second=middle("tcp.g2h"),
        h2g_mbit_per_second=middle("tcp.h2g"),
        g2h_cpu_seconds_per_gb=middle("cpu.g2h"),
        h2g_cpu_seconds_per_gb=middle("cpu.h2g"),
        proof=proof,
    )
