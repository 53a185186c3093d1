"""What all the verdicts of a mode mean to somebody who wants to use it: one line."""

from collections.abc import Collection, Sequence

from qemunet_tests.report.shapes import ClaimVerdict
from qemunet_tests.report.verdict_of_test import Verdict

#: What is said of a mode of which nothing can be said to work, and by which verdict's reason.
_HOPELESS = (
    (Verdict.BROKEN, ""),
    (Verdict.INCONCLUSIVE, "nothing was learned"),
    (Verdict.UNAVAILABLE, "cannot be tried here"),
)
#: A mode is given up on no fewer promises than that.
_MANY = 5
_SHORTCOMINGS = {
    Verdict.BROKEN: ("is broken", "are broken"),
    Verdict.INCONCLUSIVE: ("is inconclusive", "are inconclusive"),
    Verdict.DEVIATES: ("deviates", "deviate"),
    Verdict.UNAVAILABLE: ("could not be tried", "could not be tried"),
}


def mode_summary(
    mode: str, verdicts: Sequence[ClaimVerdict], most_named: int | None = None, unnamed: Collection[Verdict] = ()
) -> str:
    """One sentence about one mode. Of each verdict at most `most_named` claims are named, all of them without it, and
    of those that are `unnamed` none."""
    found = {each.verdict for each in verdicts}
    if not is_of_use(verdicts):
        for verdict, meaning in _HOPELESS:
            if verdict in found:
                reason = next(each.reason for each in verdicts if each.verdict is verdict)
                said = _all_broken(verdicts) if verdict is Verdict.BROKEN else meaning
                return f"{mode}: {said}: {reason or 'no reason is known'}"
    holding = sum(each.verdict is Verdict.HOLDS for each in verdicts)
    if holding == len(verdicts):
        return f"{mode}: the one promise tried holds" if holding == 1 else f"{mode}: all {holding} promises hold"
    parts = "; ".join(shortcomings(verdicts, most_named, unnamed))
    return f"{mode}: {holding} of {len(verdicts)} promises hold; {parts}"


def is_of_use(verdicts: Sequence[ClaimVerdict]) -> bool:
    """Whether anything of a mode is known to work."""
    return any(each.verdict in (Verdict.HOLDS, Verdict.DEVIATES) for each in verdicts)


def shortcomings(
    verdicts: Sequence[ClaimVerdict], most_named: int | None = None, unnamed: Collection[Verdict] = ()
) -> list[str]:
    """For each verdict but `holds` how many claims have it, and which, as far as they are to be named."""
    most = {verdict: 0 if verdict in unnamed else most_named for verdict in _SHORTCOMINGS}
    return [part for verdict in _SHORTCOMINGS if (part := _shortcoming(verdict, verdicts, most[verdict]))]


def _all_broken(verdicts: Sequence[ClaimVerdict]) -> str:
    """What it means that nothing holds of what was tried: of few promises, no more than that."""
    broken = [each.claim.partition("/")[2] for each in verdicts if each.verdict is Verdict.BROKEN]
    if len(broken) >= _MANY:
        return "not usable"
    if len(broken) > 1:
        return f"none of the promises tried is seen to hold; {', '.join(broken)} are broken"
    others = "" if len(verdicts) == 1 else " of those tried that could be judged"
    return f"the one promise{others or ' tried'} is broken, {broken[0]}"


def _shortcoming(verdict: Verdict, verdicts: Sequence[ClaimVerdict], most_named: int | None) -> str:
    slugs = [each.claim.partition("/")[2] for each in verdicts if each.verdict is verdict]
    if not slugs:
        return ""
    singular, plural = _SHORTCOMINGS[verdict]
    counted = f"{len(slugs)} {singular if len(slugs) == 1 else plural}"
    return counted if most_named == 0 else f"{counted}: {_named(slugs, most_named)}"


def _named(slugs: Sequence[str], most: int | None) -> str:
    if most is None or len(slugs) <= most + 1:
        return ", ".join(slugs)
    return f"{', '.join(slugs[:most])} and {len(slugs) - most} more"
