"""A recording while it is made: every row goes to the file at once, and its summary follows at the end."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from qemunet_tests.throughput.judging import verdicts
from qemunet_tests.throughput.recording import Recording, Writer
from qemunet_tests.throughput.recording_shapes import End, Run, Session


@dataclass
class RunningRatios:
    """Keeps rows without their bulk, to judge whether they suffice."""

    writer: Writer
    about: Session
    runs: list[Run] = field(default_factory=list)

    def keep(self, row: Run) -> None:
        """Append a row. The session's line precedes the first, so that a session that measured nothing leaves none."""
        if not self.runs:
            self.writer.append(self.about)
        self.writer.append(row)
        self.runs.append(row.model_copy(update={"iperf3": None, "ticks": None}))

    def precise(self) -> bool:
        return verdicts.precise(self._recording())

    def end(self, reason: str, seconds: float, missing: Sequence[str] = ()) -> None:
        """Append the summaries and the last line; `missing` is what was to be measured and was not."""
        if not self.runs:
            return
        recording = self._recording()
        machine = verdicts.health(recording)
        for judged in verdicts.summarise(recording, machine):
            self.writer.append(judged.as_summary())
        self.writer.append(
            End(
                kind="end",
                version=1,
                reason=reason,
                missing=list(missing),
                seconds=seconds,
                runs=len(self.runs),
                invalid=len(recording.invalid_runs),
                blocks=max(run.block for run in self.runs),
                usable=machine.usable,
                why_unusable=machine.reason or None,
                precise=verdicts.precise(recording),
            )
        )

    def _recording(self) -> Recording:
        return Recording(self.writer.path, self.about, tuple(self.runs))
