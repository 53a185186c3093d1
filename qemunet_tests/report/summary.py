"""The report for a CI job's page, in GitHub's Markdown: what does not hold first, with cause and remedy."""

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from qemunet_tests import named_file
from qemunet_tests.report.mode_summary import mode_summary
from qemunet_tests.report.shapes import ClaimVerdict, Results, Uncited
from qemunet_tests.report.shared_causes import SharedCause, by_reason, causes_of_breakage
from qemunet_tests.report.verdict_of_test import Verdict

#: GitHub names a file here whose content it shows on the job's page.
STEP_SUMMARY = "GITHUB_STEP_SUMMARY"

_HEADINGS = {
    Verdict.BROKEN: "Broken",
    Verdict.INCONCLUSIVE: "Inconclusive: nothing was learned",
    Verdict.DEVIATES: "Known deviations",
    Verdict.UNAVAILABLE: "Could not be tried here",
}
#: GitHub shows at most 1 MiB of a step's summary: no text of a guest may fill that.
_LONGEST_CELL = 600
_SLOWEST = 5
#: What Markdown or HTML would take for markup. An underscore within a word is none.
_MARKUP = re.compile(r"[\\`*{}\[\]<>#|~!&$]|(?<!\w)_|_(?!\w)")


def markdown(results: Results, says: Mapping[str, str]) -> str:
    """`says` is the sentence of each claim."""
    return "\n".join(_lines(results, says)) + "\n"


def append_for_the_job(text: str) -> None:
    """Show `text` on the page of the job this runs in, if it is one whose pages can show it. Raises OSError."""
    if place := os.environ.get(STEP_SUMMARY):
        with os.fdopen(named_file.to_append(Path(place)), "wb") as page:
            page.write(text.encode())


def _lines(results: Results, says: Mapping[str, str]) -> Iterator[str]:
    found = [each.verdict for each in results.verdicts]
    yield f"## qemunet: {headline(results)}"
    yield ""
    if found:
        yield from table(list(Verdict), [[str(found.count(verdict)) for verdict in Verdict]])
    for mode in dict.fromkeys(each.mode for each in results.verdicts):
        yield f"- {_plain(mode_summary(mode, [each for each in results.verdicts if each.mode == mode]))}"
    for note in results.notes:
        yield f"- {_plain(note)}"
    yield ""
    yield from _failures(Verdict.BROKEN, results, says)
    yield from _failures(Verdict.INCONCLUSIVE, results, says)
    yield from _uncited(results.uncited)
    yield from _deviations(results.verdicts)
    yield from _untried(results.verdicts)
    yield from _holding(results.verdicts)
    yield from _timing(results)
    yield from _bench(results)


def headline(results: Results) -> str:
    """What became of the whole run, without a full stop. What is known is told behind it, and is no news."""
    known = sum(each.known is not None for each in results.verdicts)
    behind = f"; {known} {'is' if known == 1 else 'are'} known, which is no news" if known else ""
    return _news(results, "nothing new is broken" if known else "nothing is broken") + behind


def _news(results: Results, nothing: str) -> str:
    found = [each.verdict for each in results.verdicts]
    news = [each.verdict for each in results.verdicts if each.known is None]
    own = results.uncited
    if not found and (tests := own.passed + own.failed):
        return f"{own.failed} of {tests} tests without a claim failed"
    if broken := news.count(Verdict.BROKEN):
        return f"{broken} of {_claims(len(found))} {'is' if broken == 1 else 'are'} broken"
    if results.interrupted:
        return f"interrupted, {nothing} so far"
    if unsure := news.count(Verdict.INCONCLUSIVE):
        return f"{nothing}, {unsure} of {_claims(len(found))} {'is' if unsure == 1 else 'are'} inconclusive"
    if not set(found) - {Verdict.UNAVAILABLE}:
        return "nothing could be tried"
    return f"{nothing} in {_claims(len(found))}"


def _failures(verdict: Verdict, results: Results, says: Mapping[str, str]) -> Iterator[str]:
    concerned = [each for each in results.verdicts if each.verdict is verdict]
    if concerned:
        yield from _section(_HEADINGS[verdict])
    shared = [each for each in causes_of_breakage(concerned) if len(each.claims) > 1]
    for cause in shared:
        yield from _broken_together(cause)
    told = {each.claim for cause in shared for each in cause.claims}
    for each in concerned:
        if each.claim in told:
            continue
        details = {
            "promise": says.get(each.claim),
            "expected": each.expected,
            "observed": each.observed,
            "cause": each.reason or "not found",
            "remedy": each.remedy,
            "known": str(each.known) if each.known else None,
            "artifacts": "\n".join(each.artifacts),
        }
        yield from table([f"`{each.claim}`", verdict], [[name, text] for name, text in details.items() if text])


def _broken_together(cause: SharedCause) -> Iterator[str]:
    """What one cause broke: it is said once."""
    said = {"cause": "\n".join(cause.reasons), "remedy": cause.remedy}
    head = [f"{_claims(len(cause.claims))} by one cause", Verdict.BROKEN]
    yield from table(head, [[name, text] for name, text in said.items() if text])
    rows = [
        [f"`{each.claim}`", each.expected, each.observed, "\n".join(each.artifacts), str(each.known or "")]
        for each in cause.claims
    ]
    yield from _without_empty_columns(["claim", "expected", "observed", "artifacts", "known"], rows)


def _uncited(uncited: Uncited) -> Iterator[str]:
    """A reader's own tests."""
    if not uncited.passed + uncited.failed + uncited.skipped:
        return
    yield from _section("Tests without a claim")
    yield f"{uncited.passed} passed, {uncited.failed} failed, {uncited.skipped} skipped"
    yield ""
    rows = [[each.test, each.reason, "\n".join(each.artifacts)] for each in uncited.failures]
    if rows:
        yield from table(["failed", "reason", "artifacts"], rows)


def _deviations(verdicts: Sequence[ClaimVerdict]) -> Iterator[str]:
    rows = [
        [f"`{each.claim}`", each.expected, each.observed, each.reason, str(each.known or "")]
        for each in verdicts
        if each.verdict is Verdict.DEVIATES
    ]
    if rows:
        yield from _section(_HEADINGS[Verdict.DEVIATES])
        yield from _without_empty_columns(["claim", "expected", "observed", "why", "known"], rows)


def _untried(verdicts: Sequence[ClaimVerdict]) -> Iterator[str]:
    rows = [
        [", ".join(f"`{each.claim}`" for each in group.claims), group.claims[0].reason, group.remedy]
        for group in by_reason(verdicts, Verdict.UNAVAILABLE)
    ]
    if rows:
        yield from _section(_HEADINGS[Verdict.UNAVAILABLE])
        yield from table(["claim", "why", "remedy"], rows)


def _holding(verdicts: Sequence[ClaimVerdict]) -> Iterator[str]:
    rows = [[f"`{each.claim}`", each.observed] for each in verdicts if each.verdict is Verdict.HOLDS]
    if rows:
        yield f"<details><summary>What holds: {_claims(len(rows))}</summary>"
        yield ""
        yield from table(["claim", "observed"], rows)
        yield "</details>"
        yield ""


def _timing(results: Results) -> Iterator[str]:
    guests = ", ".join(f"{count} {kind}" for kind, count in results.guests.items() if count)
    phases = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in results.phases.items())
    yield from _section("Timing")
    yield f"{results.seconds:.1f} s ({phases}){f'; guests: {guests}' if guests else ''}"
    yield ""
    slowest = sorted(results.verdicts, key=lambda each: each.seconds, reverse=True)[:_SLOWEST]
    if slowest:
        yield from table(["slowest", "seconds"], [[f"`{each.claim}`", f"{each.seconds:.1f}"] for each in slowest])


def _bench(results: Results) -> Iterator[str]:
    host, qemu, accel = results.host, results.qemu, results.accel
    yield from _section("Tried on")
    entries = {
        "target": results.target,
        "host": f"{host.distribution}, Linux {host.kernel}, CPUs: {host.cpus}",
        "QEMU": ", ".join(filter(None, [qemu.version, qemu.slirp and f"libslirp {qemu.slirp}", qemu.path])),
        "accelerator": ": ".join(filter(None, [accel.used, accel.reason])),
    }
    yield from table(["", ""], [[name, text] for name, text in entries.items() if text])


def _section(heading: str) -> Iterator[str]:
    yield f"### {heading}"
    yield ""


def table(head: Sequence[str], rows: Sequence[Sequence[str | None]]) -> Iterator[str]:
    """A head is our own words; so is a cell of words in backquotes. All else is shown as it is."""
    yield f"| {' | '.join(head)} |"
    yield "|" + " --- |" * len(head)
    for row in rows:
        yield f"| {' | '.join(cell(text) for text in row)} |"
    yield ""


def _without_empty_columns(head: Sequence[str], rows: Sequence[Sequence[str | None]]) -> Iterator[str]:
    """A table without the columns in which no row says anything."""
    kept = [number for number in range(len(head)) if any(row[number] for row in rows)]
    yield from table([head[number] for number in kept], [[row[number] for number in kept] for row in rows])


def cell(text: str | None) -> str:
    if not text:
        return ""
    return text if re.fullmatch(r"`[\w/-]+`(, `[\w/-]+`)*", text) else _plain(text)


def _plain(text: str) -> str:
    """Text in which nothing is markup, with its own line breaks."""
    short = text if len(text) <= _LONGEST_CELL else text[: _LONGEST_CELL - 1] + "…"
    lines = [" ".join(line.split()) for line in short.strip().splitlines()]
    return "<br>".join(_MARKUP.sub(r"\\\g<0>", line) for line in lines)


def _claims(count: int) -> str:
    return f"{count} claim" if count == 1 else f"{count} claims"
