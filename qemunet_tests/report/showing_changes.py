"""What changed between two runs, for people: on the terminal, and in Markdown for a CI job's page."""

from collections.abc import Iterator

from qemunet_tests.report.change_shapes import ChangedClaim, Turn
from qemunet_tests.report.changes import Changes
from qemunet_tests.report.host_changes import in_words
from qemunet_tests.report.summary import cell, table
from qemunet_tests.report.verdict_of_test import Verdict

_HEADINGS: dict[Turn, str] = {
    "worse": "worse", "better": "better", "other": "otherwise", "value": "value", "new": "new",
    "gone": "not tried again",
}  # fmt: skip
_IN_ONE_RUN: tuple[Turn, ...] = ("new", "gone")


def lines(found: Changes) -> Iterator[str]:
    """The answer first, then every change, the worst first."""
    yield found.reason
    for turn, heading in _HEADINGS.items():
        concerned = found.of(turn)
        if turn in _IN_ONE_RUN and concerned:
            # Where claims were chosen in one of the runs, these are many, and no news.
            yield f"  {heading}: {', '.join(f'{each.claim} ({each.before or each.after})' for each in concerned)}"
            continue
        for each in concerned:
            yield f"  {heading}: {each.claim}: {_verdicts(each)}{f', {same}' if (same := _same(each)) else ''}"
            if turn in ("worse", "other", "value"):
                yield from _why(each)
    yield from (f"  differs: {each}" for each in found.differences)
    yield from (f"  note: {each}" for each in _notes(found))


def continued_at(line: str) -> int:
    """Where a line of these goes on if it does not fit; what was said of a claim does beside its label."""
    return 14 if line.startswith("    ") else 4 if line.startswith("  ") else 2


def _verdicts(each: ChangedClaim) -> str:
    return f"{each.before} -> {each.after}" if each.turn != "value" else str(each.after)


def _same(each: ChangedClaim) -> str | None:
    """That all was said before of another claim."""
    what = "reason" if each.after is Verdict.UNAVAILABLE else "cause"
    return f"for the same {what} as {each.same_as}" if each.same_as else None


def _why(each: ChangedClaim) -> Iterator[str]:
    """What was said before is told where it was something else."""
    if each.turn == "value" and each.expected_before != each.expected:
        yield f"    expected  {_and_before(each.expected, each.expected_before)}"
    if each.observed_before != each.observed and (each.observed or each.turn == "value"):
        yield f"    observed  {_and_before(each.observed, each.observed_before)}"
    if each.turn == "value":
        if each.reason_before != each.reason:
            yield f"    reason    {_and_before(each.reason, each.reason_before)}"
        return
    if each.same_as:
        return
    if each.reason:
        yield f"    reason    {each.reason}"
    if each.remedy:
        yield f"    remedy    {each.remedy}"


def _and_before(now: str | None, before: str | None) -> str:
    return f"{now or 'nothing'} (before: {before or 'nothing'})"


def _notes(found: Changes) -> Iterator[str]:
    yield from found.notes
    if found.by_chance:
        count = "1 claim" if len(found.by_chance) == 1 else f"{len(found.by_chance)} claims"
        yield f"by chance, as in every run, values of {count} differ ({', '.join(found.kinds)})"


def markdown(found: Changes, heading: str) -> str:
    """The same for a page."""
    rows = ["## Claims: what changed", "", f"{cell(heading)}: {found.reason}."]
    changed = [
        [each.claim, each.before or "-", each.after or "-", _same(each) or each.reason]
        for turn in _HEADINGS
        for each in found.of(turn)
        if turn != "value"
    ]
    if changed:
        rows += ["", *table(["claim", "before", "after", "reason"], changed)]
    if values := [[each.claim, each.after, *_said(each)] for each in found.of("value")]:
        rows += ["", *table(["claim", "verdict", "observed before", "observed"], values)]
    if found.host:
        rows += ["", *table(["host", "before", "after"], [[each.name, *in_words(each)] for each in found.host])]
    rows += ["", *(f"- {cell(each)}" for each in _notes(found))]
    return "\n".join(rows).rstrip() + "\n"


def _said(each: ChangedClaim) -> tuple[str | None, str | None]:
    """What the two saw, or, where that is the same, what else they do not have in common."""
    if each.observed_before != each.observed:
        return each.observed_before, each.observed
    if each.expected_before != each.expected:
        return f"expected: {each.expected_before}", f"expected: {each.expected}"
    return f"reason: {each.reason_before}", f"reason: {each.reason}"
