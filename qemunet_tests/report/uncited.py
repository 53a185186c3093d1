"""Tests that cite no claim, such as a reader's own: counted, and those that failed named with their artifacts."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import pytest

from qemunet_tests.report.verdict_of_test import ARTIFACT, VerdictOfTest

if TYPE_CHECKING:
    from qemunet_tests.report.shapes import Uncited

_LONGEST_REASON = 300


class Tally:
    """Takes every report of a session. `empty` says that no such test was seen."""

    def __init__(self) -> None:
        self._phases: dict[str, list[pytest.TestReport]] = {}
        self._outcomes: Counter[str] = Counter()
        self._failures: list[tuple[str, str, list[str]]] = []

    @property
    def empty(self) -> bool:
        return not self._outcomes

    @property
    def has_artifacts(self) -> bool:
        return any(artifacts for *_, artifacts in self._failures)

    def take(self, report: pytest.TestReport) -> None:
        """A phase of a test; the last one decides whether it cites a claim."""
        phases = self._phases.setdefault(report.nodeid, [])
        phases.append(report)
        if report.when != "teardown":
            return
        del self._phases[report.nodeid]
        if VerdictOfTest.from_properties(report.user_properties):
            return
        outcome = _worst([each.outcome for each in phases])
        self._outcomes[outcome] += 1
        if outcome == "failed":
            artifacts = [str(value) for name, value in report.user_properties if name == ARTIFACT]
            self._failures.append((report.nodeid, _reason(phases), artifacts))

    def summed(self) -> "Uncited":
        """For results.json."""
        from qemunet_tests.report.shapes import Uncited, UncitedFailure

        failures = [UncitedFailure(test=test, reason=why, artifacts=kept) for test, why, kept in self._failures]
        return Uncited(**{outcome: self._outcomes[outcome] for outcome in _OUTCOMES}, failures=failures)


_OUTCOMES = ("passed", "failed", "skipped")


def _worst(outcomes: Sequence[str]) -> str:
    return next(each for each in ("failed", "skipped", "passed") if each in outcomes)


def _reason(phases: Sequence[pytest.TestReport]) -> str:
    """The first line of what went wrong first."""
    first = next(each for each in phases if each.failed)
    crash = getattr(first.longrepr, "reprcrash", None)
    said = str(crash.message if crash else first.longrepr).strip().splitlines() or ["no reason is known"]
    return said[0][:_LONGEST_REASON]


def lines(uncited: "Uncited") -> Iterator[str]:
    """What to read of them."""
    counted = ", ".join(f"{count} {word}" for word in _OUTCOMES if (count := getattr(uncited, word)))
    if counted:
        yield f"tests without a claim: {counted}"
    for each in uncited.failures:
        yield f"  {each.test} failed: {each.reason}"
        for artifact in each.artifacts:
            yield f"    its guest: {artifact}"
