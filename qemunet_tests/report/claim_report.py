"""What is remembered about a test that cites a claim while it runs."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final, TypeVar

from qemunet_tests.claims import Claim, Deviation, Installed
from qemunet_tests.errors import HarnessError
from qemunet_tests.host.obstacle import Obstacle
from qemunet_tests.host.wall_clock import WallClock
from qemunet_tests.isolation.cpu_time import spent_seconds
from qemunet_tests.printable import all_printable, printable
from qemunet_tests.qemu import passt
from qemunet_tests.report.verdict import judge, one_line, shortened
from qemunet_tests.report.verdict_of_test import Verdict, VerdictOfTest, worst

Value = TypeVar("Value")
#: The mode, and the program.
PASST: Final = "passt"
#: How pytest begins to spell an assertion.
_WORDLESS: Final = "assert "


class UnknownHere(AssertionError):
    """A deviation was seen outside the versions that it is known in: that is its cause, and no other is looked for."""


class ClaimReport:
    """One run of a test: what it says about its claim, as the fixture `claim`, and how its phases ended.

    `test` is the name that people will read.
    """

    __test__ = False

    def __init__(self, claim: Claim, test: str) -> None:
        self.claim = claim
        self.id = claim.id
        self.test = test
        self.installed = Installed()
        self.expected = claim.expected
        self.observed: str | None = None
        self._deviation: str | None = None
        self._blamed: Obstacle | None = None
        self._endings: list[tuple[Verdict, Obstacle]] = []
        self._seconds = 0.0
        self._cpu_seconds_before: float | None = None
        self._passts_before = passt.starts()
        self._clock = WallClock()
        #: Why an earlier try broke.
        self.broke_before: str | None = None
        self._unexplained = False

    def expects(self, text: str) -> str:
        """On this target the promise amounts to `text`, which is returned."""
        self.expected = text
        return text

    def sees(self, value: Value) -> Value:
        """`value` was observed; it is returned unchanged. The last call wins."""
        self.observed = in_words(value)
        return value

    def deviates(self, explanation: str | None = None, name: str | None = None) -> None:
        """The test has asserted exactly the known deviation, which `explanation` explains, or else the claim's table.

        `name` is its name in that table, needed where there are several. Fails outside of the deviation's versions.
        """
        known = self._known_deviation(name)
        self._deviation = explanation or (known.says if known else None)
        if self._deviation is None:
            raise HarnessError(f"{self.id} has no known deviation, and the test does not explain the one it saw")
        outside = known.bounds.outside(self.installed) if known else None
        if outside and outside.certain:
            raise UnknownHere(f"this deviation is known {outside.reason}: {self._deviation}")

    def _known_deviation(self, name: str | None) -> Deviation | None:
        if name is None and len(self.claim.deviations) < 2:
            return next(iter(self.claim.deviations.values()), None)
        if name not in self.claim.deviations:
            names = ", ".join(self.claim.deviations) or "none"
            raise HarnessError(f"{self.id} has no deviation {name!r}; there is {names}")
        return self.claim.deviations[name]

    def blames(self, reason: str, remedy: str | None = None) -> None:
        """Should an assertion fail from here on, this is why."""
        self._blamed = Obstacle(reason, remedy).found_by("test")

    def in_words(self, said: str) -> str:
        """What an assertion that failed says, for people.

        One without a sentence is spelled by pytest, in words of Python: what was seen and what is promised say more.
        """
        if not said.startswith(_WORDLESS) or self.observed in (None, self.expected):
            return said
        return shortened(f"observed {' '.join(str(self.observed).split())}, where {self.expected} is promised")

    @property
    def broke(self) -> bool:
        """Whether the promise was broken in this try."""
        return any(ending is Verdict.BROKEN for ending, _ in self._endings)

    @property
    def needs_second_try(self) -> bool:
        """Whether it broke, in a first try, and nothing was found that would have to be mended for it to hold."""
        return self.broke and self._unexplained and self.broke_before is None

    def second_try(self) -> "ClaimReport":
        """The report of the same test, run again."""
        again = ClaimReport(self.claim, self.test)
        again.installed = self.installed
        again.broke_before = self.verdict().reason or "without a reason"
        return again

    def once_only(self, then: str) -> str:
        """In words: it broke, and `then` not."""
        return f"broken when it was tried first ({self.broke_before}), and {then}"

    def began(self) -> None:
        """From here on the processors work for this test."""
        self._cpu_seconds_before = spent_seconds()
        self._passts_before = passt.starts()

    def ended(self, phase: str, error: BaseException | None, seconds: float, fixtures: Mapping[str, object]) -> None:
        """Take down how a phase ended. `fixtures` are still alive and can be asked for the cause."""
        self._seconds += seconds
        if error is not None:
            verdict, why = judge(error, phase)
            if verdict is Verdict.BROKEN:
                why = Obstacle(self.in_words(why.reason))
            if self.broke_before and verdict is Verdict.UNAVAILABLE:
                verdict, why = Verdict.INCONCLUSIVE, Obstacle(self.once_only(f"then unavailable: {why.reason}"))
            unexplained = verdict is Verdict.BROKEN and not isinstance(error, UnknownHere)
            self._endings.append(self._explained(why, phase, error, fixtures) if unexplained else (verdict, why))

    def _explained(
        self, seen: Obstacle, phase: str, error: BaseException, fixtures: Mapping[str, object]
    ) -> tuple[Verdict, Obstacle]:
        if why := self._why_nothing_was_learned(fixtures):
            return Verdict.INCONCLUSIVE, Obstacle(f"{why} the test saw: {seen.reason}")
        complaint = ""
        # What a teardown finds changes nothing about whether the test is tried again: that was decided before it.
        self._unexplained |= phase != "teardown"
        if phase != "teardown":
            try:
                from qemunet_tests import diagnosis

                if cause := diagnosis.cause_of(self.claim, fixtures, error):
                    self._unexplained = cause.remedy is None
                    return Verdict.BROKEN, cause
            except Exception as failure:
                # What the test found must not be lost because nobody could say why.
                complaint = f" (looking for the cause failed: {one_line(failure)})"
        blamed = self._blamed or seen
        return Verdict.BROKEN, replace(blamed, reason=blamed.reason + complaint)

    def _why_nothing_was_learned(self, fixtures: Mapping[str, object]) -> str | None:
        """What happened that is no fault of what is tried: the beginning of a sentence."""
        if killed := _killed_qemu(fixtures):
            return f"{killed}; before that or without it"
        if failing := _failing_service(fixtures):
            return f"in the lab, {failing}; without it"
        change = self._clock.change()
        return change and f"the clock of this host {change} meanwhile;"

    def verdict(self) -> VerdictOfTest:
        """What was found out, once all phases have ended."""
        passed = Verdict.HOLDS if self._deviation is None else Verdict.DEVIATES
        verdict = worst(ending for ending, _ in self._endings) if self._endings else passed
        why = next((why for ending, why in self._endings if ending is verdict), None)
        return VerdictOfTest(
            claim=self.id,
            verdict=verdict,
            test=self.test,
            seconds=self._seconds,
            cpu_seconds=self._spent(),
            expected=all_printable(self.expected),
            observed=all_printable(self.observed),
            reason=all_printable(why.reason if why else self._deviation),
            remedy=all_printable(why.remedy if why else None),
            cause=why.key if why else None,
            lost=why.lost if why else None,
            passt=self._passt(),
        )

    def _passt(self) -> str | None:
        """The version of passt, where one stood in the path or the claim is about it."""
        if self.claim.mode != PASST and passt.starts() == self._passts_before:
            return None
        found = self.installed.version(PASST)
        return found and printable(found)

    def _spent(self) -> float | None:
        before, now = self._cpu_seconds_before, spent_seconds()
        return None if before is None or now is None else max(now - before, 0.0)


def _failing_service(fixtures: Mapping[str, object]) -> str | None:
    """What the test's lab should serve and does not: then nothing was learned about the promise."""
    from qemunet_tests.network.target import LabTarget

    target = fixtures.get("target")
    return target.lab.services.failing() if isinstance(target, LabTarget) else None


def _killed_qemu(fixtures: Mapping[str, object]) -> str | None:
    """What became of a QEMU of the test's that somebody has killed: what it does not do then is no fault of its own."""
    from qemunet_tests.guest.bench import Bench

    bench = fixtures.get("bench")
    return bench.killed() if isinstance(bench, Bench) else None


def in_words(value: object) -> str:
    """A value as people write it: what is Python's alone, as `True` or brackets, says nothing to others."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None:
        return "nothing"
    if isinstance(value, dict):
        return "; ".join(f"{key}: {in_words(each)}" for key, each in value.items()) or "nothing"
    if isinstance(value, (set, frozenset)):
        value = sorted(value, key=str)
    if isinstance(value, (list, tuple)) and not hasattr(value, "_fields"):
        return ", ".join(map(in_words, value)) or "nothing"
    return str(value) or "nothing"
