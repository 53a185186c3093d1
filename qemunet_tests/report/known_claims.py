"""What did not come out well and is no news: known, with a reason, until a day.

A verdict stays what it is. What is known only does not count for the exit code, so that a CI job is red for news.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime

from qemunet_tests.claims import load
from qemunet_tests.claims.known_file import KnownEntry
from qemunet_tests.report.shapes import ClaimVerdict, KnownShape, Results
from qemunet_tests.report.verdict_of_test import Verdict

#: Verdicts after which it is known what became of a claim.
_JUDGED = (Verdict.HOLDS, Verdict.DEVIATES, Verdict.BROKEN)


@dataclass(frozen=True)
class KnownClaims:
    """The entries of a file; `source` is what a reader calls it."""

    entries: Sequence[KnownEntry] = ()
    source: str = ""

    def entry_of(self, claim: str, verdict: Verdict, today: date | None = None) -> KnownEntry | None:
        """Why this is no news; None where it is. An entry counts through its last day."""
        today = today or datetime.now(UTC).date()
        fitting = (each for each in self.entries if each.verdict == verdict and each.until >= today)
        return next((each for each in fitting if claim in each.claims), None)

    def marked(self, results: Results) -> Results:
        """The same, and of each verdict that is known, that it is."""
        if not self.entries:
            return results
        return results.model_copy(update={"verdicts": [self._marked(each, results) for each in results.verdicts]})

    def _marked(self, each: ClaimVerdict, results: Results) -> ClaimVerdict:
        entry = self.entry_of(each.claim, each.verdict, _day_of(results))
        known = KnownShape(reason=entry.reason, until=entry.until.isoformat()) if entry else None
        return each.model_copy(update={"known": known})

    def outdated(self, results: Results) -> Iterator[str]:
        """A sentence for each entry that is to be removed from the file, or mended."""
        found = {each.claim: each.verdict for each in results.verdicts}
        for entry in self.entries:
            if why := _why_outdated(entry, found, _day_of(results)):
                yield f"{self.source}: {entry.claim}, known as {entry.verdict}: {why}"


def _day_of(results: Results) -> date:
    """When the run began, in UTC."""
    return datetime.fromisoformat(results.at).date() if results.at else datetime.now(UTC).date()


def _why_outdated(entry: KnownEntry, found: dict[str, Verdict], today: date) -> str | None:
    if not entry.claims:
        return "it names no claim; `qemunet claims` lists them"
    if entry.until < today:
        return f"it counted until {entry.until.isoformat()}, and counts no longer"
    claims = [claim for claim in entry.claims if load()[claim].untested is None]
    now = [found.get(claim) for claim in claims]
    # What was not tried, or not judged, may be as it was.
    if not now or entry.verdict in now or not all(verdict in _JUDGED for verdict in now):
        return None
    if len(claims) == 1:
        return f"it {now[0]} now" if now[0] is not Verdict.BROKEN else "it is broken now"
    return f"none of the {len(claims)} claims that it names is so any more"
