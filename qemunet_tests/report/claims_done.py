"""Which claims of a run are done: a claim may have several tests, and is done with the last of them."""

from collections.abc import Mapping

from qemunet_tests.report.verdict_of_test import Verdict, VerdictOfTest, worst


class ClaimsDone:
    """Counts claims. A test that cites none counts for itself."""

    def __init__(self) -> None:
        self._tests_left: dict[str, set[str]] = {}
        self._verdicts: dict[str, list[Verdict]] = {}
        self._seconds: dict[str, float] = {}
        self.total = 0

    def expect(self, claims: Mapping[str, str]) -> None:
        """`claims` is what each test is about."""
        self._tests_left = {}
        for test, claim in claims.items():
            self._tests_left.setdefault(claim, set()).add(test)
        self.total = len(self._tests_left)

    @property
    def done(self) -> int:
        """So many are done."""
        return sum(not left for left in self._tests_left.values())

    def finished(self, test: str, finding: VerdictOfTest | None) -> tuple[str, Verdict, float] | None:
        """The claim, its verdict and its seconds, where this was the last of its tests and they cite one."""
        claim = finding.claim if finding else next((c for c, tests in self._tests_left.items() if test in tests), test)
        if finding:
            self._verdicts.setdefault(claim, []).append(finding.verdict)
            self._seconds[claim] = self._seconds.get(claim, 0.0) + finding.seconds
        left = self._tests_left.setdefault(claim, set())
        left.discard(test)
        if left or claim not in self._verdicts:
            return None
        return claim, worst(self._verdicts[claim]), self._seconds[claim]
