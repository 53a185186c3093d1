"""What became of a comparison, line by line and as a whole."""

from dataclasses import dataclass
from typing import Any

from qemunet_tests.throughput.judging.factors import Difference
from qemunet_tests.throughput.judging.statistics import Ratio
from qemunet_tests.throughput.judging.verdicts import FASTER, SAME, SLOWER


@dataclass(frozen=True)
class OutcomeLine:
    """What became of one metric. `subject` is the arm that changed, where one did."""

    metric: str
    nic: str
    arms: tuple[str, str]
    before: float
    after: float
    change: Ratio
    verdict: str
    reason: str
    subject: str | None = None

    def as_summary(self) -> dict[str, Any]:
        found = self.change
        return {
            "kind": "summary",
            "schema": 1,
            "metric": self.metric,
            "nic": self.nic,
            "arms": list(self.arms),
            "before": round(self.before, 4),
            "after": round(self.after, 4),
            "ratio": round(found.point, 4),
            "low": found.low and round(found.low, 4),
            "high": found.high and round(found.high, 4),
            "p": found.p and round(found.p, 6),
            "agreement": round(found.agreement, 3),
            "verdict": self.verdict,
            "reason": self.reason,
            "subject": self.subject,
        }


@dataclass(frozen=True)
class Comparison:
    """The lines, what the two differ in, and the answer as a whole."""

    lines: tuple[OutcomeLine, ...]
    undeclared: tuple[Difference, ...]
    declared: tuple[Difference, ...]
    verdict: str
    reason: str
    warnings: tuple[str, ...] = ()

    @property
    def exit_code(self) -> int:
        return {SAME: 0, FASTER: 0, SLOWER: 1}.get(self.verdict, 3)
