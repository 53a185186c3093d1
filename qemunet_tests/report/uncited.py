"""Tests that cite no claim, such as a reader's own: counted, and those that failed named with their artifacts."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from qemunet_tests.printable import printable

if TYPE_CHECKING:
    from qemunet_tests.report.shapes import Uncited

_LONGEST_REASON = 300


@dataclass(frozen=True)
class EndedPhase:
    """How set-up, call or teardown of a test ended. Of the last one it is known whether the test cites a claim."""

    test: str
    outcome: str
    failure: str | None
    last: bool
    cites: bool
    artifacts: list[str]


class UncitedTests:
    """Takes every phase of a session's tests. `empty` says that no test without a claim was seen."""

    def __init__(self) -> None:
        self._phases: dict[str, list[EndedPhase]] = {}
        self._outcomes: Counter[str] = Counter()
        self._failures: list[tuple[str, str, list[str]]] = []

    @property
    def empty(self) -> bool:
        return not self._outcomes

    @property
    def has_artifacts(self) -> bool:
        return any(artifacts for *_, artifacts in self._failures)

    def take(self, phase: EndedPhase) -> None:
        """The last phase of a test decides whether it counts here."""
        phases = self._phases.setdefault(phase.test, [])
        phases.append(phase)
        if not phase.last:
            return
        del self._phases[phase.test]
        if phase.cites:
            return
        outcome = _worst([each.outcome for each in phases])
        self._outcomes[outcome] += 1
        if outcome == "failed":
            self._failures.append((phase.test, _reason(phases), phase.artifacts))

    def summed(self) -> "Uncited":
        """For results.json."""
        from qemunet_tests.report.shapes import Uncited, UncitedFailure

        failures = [
            UncitedFailure(test=test, reason=printable(why), artifacts=kept) for test, why, kept in self._failures
        ]
        return Uncited(**{outcome: self._outcomes[outcome] for outcome in _OUTCOMES}, failures=failures)


_OUTCOMES = ("passed", "failed", "skipped")


def _worst(outcomes: Sequence[str]) -> str:
    return next(each for each in ("failed", "skipped", "passed") if each in outcomes)


def _reason(phases: Sequence[EndedPhase]) -> str:
    """The first line of what went wrong first."""
    said = next(each.failure for each in phases if each.failure is not None)
    return (said.strip().splitlines() or ["no reason is known"])[0][:_LONGEST_REASON]


def lines(uncited: "Uncited") -> Iterator[str]:
    """What to read of them."""
    counted = ", ".join(f"{count} {word}" for word in _OUTCOMES if (count := getattr(uncited, word)))
    if counted:
        yield f"tests without a claim: {counted}"
    for each in uncited.failures:
        yield f"  {each.test} failed: {each.reason}"
        for artifact in each.artifacts:
            yield f"    its guest: {artifact}"
