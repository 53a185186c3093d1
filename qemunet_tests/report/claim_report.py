"""What is remembered about a test that cites a claim while it runs."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from qemunet_tests.claims import Claim, Deviation, Installed
from qemunet_tests.errors import HarnessError
from qemunet_tests.report.verdict import PhaseOutcome, judge, one_line
from qemunet_tests.report.verdict_of_test import Verdict, VerdictOfTest, worst

Value = TypeVar("Value")


class UnknownHere(AssertionError):
    """A deviation was seen outside the versions that it is known in: that is its cause, and no other is looked for."""


class ClaimReport:
    """What a test says about its claim: the fixture `claim`."""

    __test__ = False

    def __init__(self, claim: Claim) -> None:
        self.id = claim.id
        self.installed: Installed = lambda _: None
        self._deviations = claim.deviations
        self.expected = claim.expected
        self.observed: str | None = None
        self.deviation: str | None = None
        self.blamed: tuple[str, str | None] | None = None

    def expects(self, text: str) -> str:
        """On this target the promise amounts to `text`, which is returned."""
        self.expected = text
        return text

    def sees(self, value: Value) -> Value:
        """`value` was observed; it is returned unchanged. The last call wins."""
        self.observed = str(value)
        return value

    def deviates(self, explanation: str | None = None, name: str | None = None) -> None:
        """The test has asserted exactly the known deviation, which `explanation` explains, or else the claim's table.

        `name` is its name in that table, needed where there are several. Fails outside of the deviation's versions.
        """
        known = self._known_deviation(name)
        self.deviation = explanation or (known.says if known else None)
        if self.deviation is None:
            raise HarnessError(f"{self.id} has no known deviation, and the test does not explain the one it saw")
        outside = known.bounds.outside(self.installed) if known else None
        if outside and outside.certain:
            raise UnknownHere(f"this deviation is known {outside.reason}: {self.deviation}")

    def _known_deviation(self, name: str | None) -> Deviation | None:
        if name is None and len(self._deviations) < 2:
            return next(iter(self._deviations.values()), None)
        if name not in self._deviations:
            names = ", ".join(self._deviations) or "none"
            raise HarnessError(f"{self.id} has no deviation {name!r}; there is {names}")
        return self._deviations[name]

    def blames(self, reason: str, remedy: str | None = None) -> None:
        """Should an assertion fail from here on, this is why."""
        self.blamed = (reason, remedy)


@dataclass
class RunOfTest:
    """One run of one test. `test` is the name that people will read."""

    claim: Claim
    test: str
    seconds: float = 0.0
    outcomes: list[PhaseOutcome] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.testimony = ClaimReport(self.claim)

    def ended(self, phase: str, error: BaseException | None, seconds: float, fixtures: Mapping[str, object]) -> None:
        """Take down how a phase ended. `fixtures` are still alive and can be asked for the cause."""
        self.seconds += seconds
        outcome = judge(error, phase)
        if outcome and error and outcome.verdict is Verdict.BROKEN:
            outcome = self._explained(outcome, phase, error, fixtures)
        if outcome:
            self.outcomes.append(outcome)

    def _explained(
        self, outcome: PhaseOutcome, phase: str, error: BaseException, fixtures: Mapping[str, object]
    ) -> PhaseOutcome:
        if isinstance(error, UnknownHere):
            return outcome
        complaint = ""
        if failing := _failing_service(fixtures):
            return PhaseOutcome(
                Verdict.INCONCLUSIVE, f"in the lab, {failing}; without it the test saw: {outcome.reason}"
            )
        if phase != "teardown":
            try:
                from qemunet_tests import diagnosis

                cause = diagnosis.cause_of(self.claim, fixtures, error)
            except Exception as failure:
                # What the test found must not be lost because nobody could say why.
                cause, complaint = None, f" (looking for the cause failed: {one_line(failure)})"
            if cause:
                return PhaseOutcome(Verdict.BROKEN, cause.reason, cause.remedy)
        reason, remedy = self.testimony.blamed or (outcome.reason, None)
        return PhaseOutcome(Verdict.BROKEN, reason + complaint, remedy)

    def finding(self) -> VerdictOfTest:
        """The verdict, once all phases have ended."""
        verdict = worst(outcome.verdict for outcome in self.outcomes) if self.outcomes else self._passed()
        outcome = next((each for each in self.outcomes if each.verdict is verdict), None)
        return VerdictOfTest(
            claim=self.claim.id,
            verdict=verdict,
            test=self.test,
            seconds=self.seconds,
            expected=_printable(self.testimony.expected),
            observed=_printable(self.testimony.observed),
            reason=_printable(outcome.reason if outcome else self.testimony.deviation),
            remedy=_printable(outcome.remedy if outcome else None),
        )

    def _passed(self) -> Verdict:
        return Verdict.HOLDS if self.testimony.deviation is None else Verdict.DEVIATES


def _failing_service(fixtures: Mapping[str, object]) -> str | None:
    """What the test's lab should serve and does not: then nothing was learned about the promise."""
    from qemunet_tests.network.target import LabTarget

    target = fixtures.get("target")
    return target.lab.services.failing() if isinstance(target, LabTarget) else None


def _printable(text: str | None) -> str | None:
    """What a guest says may hold any bytes; a terminal, JSON and XML may not."""
    if text is None:
        return None
    whole = text.encode("utf-8", "backslashreplace").decode()
    return "".join(
        each if each.isprintable() or each in "\n\t" else each.encode("unicode_escape").decode() for each in whole
    )
