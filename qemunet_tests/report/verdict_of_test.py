"""What one test found out about one claim, on its way from the process that ran it to the report."""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from enum import StrEnum

from qemunet_tests.host.obstacle import LostFrame


class Verdict(StrEnum):
    """What became of a claim, worst first."""

    BROKEN = "broken"
    INCONCLUSIVE = "inconclusive"
    DEVIATES = "deviates"
    HOLDS = "holds"
    UNAVAILABLE = "unavailable"


_RANKS = {verdict: rank for rank, verdict in enumerate(Verdict)}


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """The verdict of several tests together: `unavailable` only if all of them are."""
    return min(verdicts, key=_RANKS.__getitem__)


#: The user property in which a fixture names a file that helps to understand a failure.
ARTIFACT = "qemunet.artifact"
_TEST = "qemunet.test"
_SECONDS = "qemunet.seconds"
_CPU_SECONDS = "qemunet.cpu_seconds"
_LOST = "qemunet.lost"
_PASST = "qemunet.passt"
_TEXTS = ("expected", "observed", "reason", "remedy", "cause")


@dataclass(frozen=True)
class VerdictOfTest:
    """One test's verdict on one claim. `test` is a name for people, never a key; `cause` is the key of an obstacle.

    `lost` is where a frame was lost to that. `passt` is the version of the passt that took part.
    """

    claim: str
    verdict: Verdict
    test: str
    seconds: float = 0.0
    expected: str | None = None
    observed: str | None = None
    reason: str | None = None
    remedy: str | None = None
    artifacts: tuple[str, ...] = ()
    cause: str | None = None
    cpu_seconds: float | None = None
    lost: LostFrame | None = None
    passt: str | None = None

    def as_properties(self) -> list[tuple[str, object]]:
        """User properties of a pytest report: they survive pytest-xdist, and end up in junit.xml.

        Artifacts are not among them: the fixtures that made them have added them already.
        """
        texts = [(name, text) for name in _TEXTS if (text := getattr(self, name)) is not None]
        return [
            ("claim", self.claim),
            ("verdict", self.verdict.value),
            *texts,
            (_TEST, self.test),
            (_SECONDS, f"{self.seconds:.3f}"),
            *([] if self.cpu_seconds is None else [(_CPU_SECONDS, f"{self.cpu_seconds:.3f}")]),
            *([(_LOST, json.dumps(asdict(self.lost)))] if self.lost else []),
            *([(_PASST, self.passt)] if self.passt else []),
        ]

    @classmethod
    def from_properties(cls, properties: Iterable[tuple[str, object]]) -> "VerdictOfTest | None":
        """The finding that a report carries, if it is one of a test that cites a claim."""
        pairs = [(name, str(value)) for name, value in properties]
        values = dict(pairs)
        if _TEST not in values:
            return None
        return cls(
            claim=values["claim"],
            verdict=Verdict(values["verdict"]),
            test=values[_TEST],
            seconds=float(values[_SECONDS]),
            cpu_seconds=float(values[_CPU_SECONDS]) if _CPU_SECONDS in values else None,
            expected=values.get("expected"),
            observed=values.get("observed"),
            reason=values.get("reason"),
            remedy=values.get("remedy"),
            cause=values.get("cause"),
            lost=_lost(values[_LOST]) if _LOST in values else None,
            passt=values.get(_PASST),
            # A test that was tried twice may have named a file twice.
            artifacts=tuple(dict.fromkeys(value for name, value in pairs if name == ARTIFACT)),
        )


def _lost(text: str) -> LostFrame:
    told = json.loads(text)
    return LostFrame(**{**told, "places": tuple(told["places"])})
