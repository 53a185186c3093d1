"""What became of a comparison, line by line and as a whole."""

from dataclasses import dataclass
from typing import Literal

from qemunet_tests.throughput.judging.factors import Difference
from qemunet_tests.throughput.judging.statistics import Ratio
from qemunet_tests.throughput.judging.verdicts import FASTER, SAME, SLOWER
from qemunet_tests.throughput.recording_shapes import ComparedEnd, ComparedLine, ThroughputVerdict


@dataclass(frozen=True)
class OutcomeLine:
    """What became of one metric. `subject` is the arm that changed, where one did."""

    metric: str
    nic: str
    arms: tuple[str, str]
    before: float
    after: float
    change: Ratio
    verdict: ThroughputVerdict
    reason: str
    subject: str | None = None

    def as_summary(self) -> ComparedLine:
        found = self.change
        return ComparedLine(
            kind="summary",
            version=1,
            metric=self.metric,
            nic=self.nic,
            arms=list(self.arms),
            before=round(self.before, 4),
            after=round(self.after, 4),
            ratio=round(found.point, 4),
            low=found.low and round(found.low, 4),
            high=found.high and round(found.high, 4),
            p=found.p and round(found.p, 6),
            agreement=round(found.agreement, 3),
            verdict=self.verdict,
            reason=self.reason,
            subject=self.subject,
        )


@dataclass(frozen=True)
class Comparison:
    """The lines, what the two differ in, and the answer as a whole."""

    lines: tuple[OutcomeLine, ...]
    undeclared: tuple[Difference, ...]
    declared: tuple[Difference, ...]
    verdict: ThroughputVerdict | Literal["invalid comparison"]
    reason: str
    warnings: tuple[str, ...] = ()

    def as_end(self) -> ComparedEnd:
        return ComparedEnd(
            kind="end",
            version=1,
            verdict=self.verdict,
            reason=self.reason,
            exit=self.exit_code,
            undeclared=[str(each) for each in self.undeclared],
            declared=[str(each) for each in self.declared],
            warnings=list(self.warnings),
        )

    @property
    def exit_code(self) -> Literal[0, 1, 3]:
        if self.verdict == SLOWER:
            return 1
        return 0 if self.verdict in (SAME, FASTER) else 3
