"""What changed between two runs, for people: on the terminal, and in Markdown for a CI job's page."""

from collections.abc import Iterator

from qemunet_tests.report.changes import Changes
from qemunet_tests.report.shapes import ChangedClaim, Turn
from qemunet_tests.report.summary import cell, table

_HEADINGS: dict[Turn, str] = {
    "worse": "worse", "better": "better", "other": "otherwise", "new": "new", "gone": "not tried again",
}  # fmt: skip


def lines(found: Changes) -> Iterator[str]:
    """The answer first, then every change, the worst first."""
    yield found.reason
    for turn, heading in _HEADINGS.items():
        for each in found.of(turn):
            yield f"  {heading}: {each.claim}: {_verdicts(each)}"
            if turn in ("worse", "other"):
                yield from _why(each)
    yield from (f"  differs: {each}" for each in found.differences)
    yield from (f"  note: {each}" for each in found.notes)


def _verdicts(each: ChangedClaim) -> str:
    return f"{each.before or 'not tried'} -> {each.after or 'not tried'}"


def _why(each: ChangedClaim) -> Iterator[str]:
    if each.observed_before != each.observed and each.observed:
        yield f"    observed  {each.observed} (before: {each.observed_before or 'nothing'})"
    if each.reason:
        yield f"    reason    {each.reason}"
    if each.remedy:
        yield f"    remedy    {each.remedy}"


def markdown(found: Changes, heading: str) -> str:
    """The same for a page."""
    ordered = [each for turn in _HEADINGS for each in found.of(turn)]
    changed = [[each.claim, each.before or "-", each.after or "-", each.reason] for each in ordered]
    rows = ["## Claims: what changed", "", f"{cell(heading)}: {found.reason}."]
    if changed:
        rows += ["", *table(["claim", "before", "after", "reason"], changed)]
    rows += ["", *(f"- {cell(each)}" for each in (*found.differences, *found.notes))]
    return "\n".join(rows).rstrip() + "\n"
