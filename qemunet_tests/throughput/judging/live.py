"""A recording while it is made: every row goes to the file at once, and its summary follows at the end."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from qemunet_tests.throughput.judging import verdicts
from qemunet_tests.throughput.recording import Recording, Writer


@dataclass
class RunningRatios:
    """Keeps rows without their bulk, to judge whether they suffice."""

    writer: Writer
    about: Mapping[str, Any]
    runs: list[Mapping[str, Any]] = field(default_factory=list)

    def keep(self, row: Mapping[str, Any]) -> None:
        """Append a row. The session's line precedes the first, so that a session that measured nothing leaves none."""
        if not self.runs:
            self.writer.append("session", self.about)
        self.writer.append("run", {"run": len(self.runs) + 1, **row})
        self.runs.append({name: value for name, value in row.items() if name not in ("iperf3", "ticks")})

    def precise(self) -> bool:
        return verdicts.precise(self._recording())

    def end(self, reason: str, seconds: float, missing: Sequence[str] = ()) -> None:
        """Append the summaries and the last line; `missing` is what was to be measured and was not."""
        if not self.runs:
            return
        recording = self._recording()
        for judged in verdicts.summarise(recording):
            self.writer.append("summary", judged.as_summary())
        machine = verdicts.health(recording)
        self.writer.append(
            "end",
            {
                "reason": reason,
                "missing": list(missing),
                "seconds": seconds,
                "runs": len(self.runs),
                "invalid": len(recording.invalid_runs),
                "blocks": max(run["block"] for run in self.runs),
                "usable": machine.usable,
                "why_unusable": machine.reason or None,
                "precise": verdicts.precise(recording),
            },
        )

    def _recording(self) -> Recording:
        return Recording(self.writer.path, self.about, tuple(self.runs))
