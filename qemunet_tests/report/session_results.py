"""Everything a session found out, gathered by the process that reports it."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from qemunet_tests.isolation.folder import opened
from qemunet_tests.printable import all_printable
from qemunet_tests.report.session_info import SessionFacts, command, merged, this_host, version
from qemunet_tests.report.uncited import UncitedTests
from qemunet_tests.report.verdict_of_test import Verdict, VerdictOfTest, worst

if TYPE_CHECKING:
    from qemunet_tests.claims import Claim
    from qemunet_tests.report.shapes import ClaimVerdict, Results

RESULTS_FILE = "results.json"
JUNIT_FILE = "junit.xml"
SUMMARY_FILE = "summary.md"


class SessionResults:
    """Findings come in one by one, facts once or more often from every process: its last word counts."""

    def __init__(self) -> None:
        self.findings: list[VerdictOfTest] = []
        self.uncited = UncitedTests()
        self.facts: dict[str, SessionFacts] = {}
        self.trouble: list[str] = []
        self.interrupted = False
        #: By name, of what packets went through; None where nobody asked.
        self.packages: dict[str, str] | None = None
        self._opened_seconds = time.monotonic()
        self._opened_at = datetime.now(UTC)
        self._tests_began_seconds: float | None = None

    def tests_began(self) -> None:
        """The first test is starting; later calls change nothing."""
        if self._tests_began_seconds is None:
            self._tests_began_seconds = time.monotonic()

    @property
    def complaints(self) -> list[str]:
        """What kept the session from being complete, or clean, besides the verdicts."""
        return [*self.trouble, *merged(self.facts.values()).faults]

    def results(self, target: str) -> "Results":
        """The whole session as the document that results.json holds."""
        from qemunet_tests.report.shapes import Results

        now_seconds = time.monotonic()
        facts = merged(self.facts.values())
        tests_seconds = now_seconds - (self._tests_began_seconds or now_seconds)
        unknown = [what for what in ("qemu", "accel") if not getattr(facts, what)]
        cut_short = [f"interrupted before it was known: {', '.join(unknown)}"] if self.interrupted and unknown else []
        said = {
            "at": self._opened_at.isoformat(timespec="seconds"),
            "version": version(),
            "command": command(),
            "target": target,
            "seconds": round(now_seconds - self._opened_seconds, 3),
            "interrupted": self.interrupted,
            "host": this_host() | facts.host | {"packages": self.packages},
            "image": facts.image or None,
            "qemu": facts.qemu,
            "passt": facts.passt or None,
            "network": facts.network or None,
            "accel": facts.accel,
            "guests": facts.guests,
            "phases": {phase: round(seconds, 3) for phase, seconds in {**facts.phases, "tests": tests_seconds}.items()},
            "notes": [*self.trouble, *facts.faults, *cut_short, *facts.notes],
            "verdicts": verdicts_of(self.findings, facts.qemu),
            "uncited": self.uncited.summed(),
        }
        return Results.model_validate(all_printable(said))


def verdicts_of(findings: Sequence[VerdictOfTest], qemu: Mapping[str, str | None]) -> "list[ClaimVerdict]":
    """One verdict per claim, in the order in which the claims are listed; all were seen on one `qemu`."""
    from qemunet_tests.claims import load

    known = load()
    by_claim: dict[str, list[VerdictOfTest]] = {claim: [] for claim in known}
    for finding in findings:
        by_claim.setdefault(finding.claim, []).append(finding)
    return [_verdict_of(claim, known.get(claim), group, qemu) for claim, group in by_claim.items() if group]


def _verdict_of(
    claim: str, table: "Claim | None", findings: list[VerdictOfTest], qemu: Mapping[str, str | None]
) -> "ClaimVerdict":
    from qemunet_tests.report.shapes import ClaimVerdict, FrameLoss

    # Workers finish in any order; the report must not depend on it.
    ordered = sorted(findings, key=lambda finding: finding.test)
    verdict = worst(finding.verdict for finding in ordered)
    deciding = next(finding for finding in ordered if finding.verdict is verdict)
    return ClaimVerdict(
        claim=claim,
        mode=claim.partition("/")[0],
        verdict=verdict,
        expected=deciding.expected,
        observed=deciding.observed,
        reason=deciding.reason,
        remedy=deciding.remedy,
        cause=deciding.cause,
        lost=FrameLoss.model_validate(asdict(deciding.lost)) if deciding.lost else None,
        says=table and table.says,
        source=table and table.source,
        topic=table and table.topic,
        tests=[finding.test for finding in ordered],
        seconds=round(sum(finding.seconds for finding in ordered), 3),
        cpu_seconds=_summed([finding.cpu_seconds for finding in ordered]),
        artifacts=[artifact for finding in ordered for artifact in finding.artifacts],
        qemu=qemu.get("version"),
        slirp=qemu.get("slirp"),
        passt=next((finding.passt for finding in ordered if finding.passt), None),
    )


def _summed(seconds: Sequence[float | None]) -> float | None:
    """None where one of them is not known: a part would be taken for the whole."""
    known = [each for each in seconds if each is not None]
    return round(sum(known), 3) if len(known) == len(seconds) else None


def write_results(results: "Results", folder: Path) -> Path:
    """Write results.json. Raises OSError."""
    return write_whole(folder / RESULTS_FILE, results.as_json())


def write_whole(file: Path, text: str) -> Path:
    """Write a file so that a reader never sees half of it. Raises OSError."""
    # Whoever owns the folder must not choose what is overwritten.
    with opened(file.parent) as folder:
        return folder.write_whole(file.name, text.encode())


class JudgedClaim(Protocol):
    """A verdict, and whether it is known."""

    @property
    def verdict(self) -> Verdict: ...

    @property
    def known(self) -> object: ...


class JudgedRun(Protocol):
    """A run of which the verdicts are there."""

    @property
    def interrupted(self) -> bool: ...

    @property
    def verdicts(self) -> Sequence[JudgedClaim]: ...


def exit_code(results: JudgedRun, trouble: bool = False) -> int:
    """0: nothing broken. 1: something broken. 3: something inconclusive, or nothing could be tried.

    What is known to be so is no news, and counts for neither.

    `trouble`: something besides the verdicts kept the session from being complete.
    """
    news = {each.verdict for each in results.verdicts if each.known is None}
    if Verdict.BROKEN in news:
        return 1
    nothing_tried = {each.verdict for each in results.verdicts} <= {Verdict.UNAVAILABLE}
    incomplete = trouble or results.interrupted or Verdict.INCONCLUSIVE in news or nothing_tried
    return 3 if incomplete else 0
