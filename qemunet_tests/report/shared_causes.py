"""Claims that stand together: broken by one cause, or not tried for one reason. Each is said once."""

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass

from qemunet_tests.report.shapes import ClaimVerdict, FrameLoss
from qemunet_tests.report.verdict_of_test import Verdict


@dataclass(frozen=True)
class SharedCause:
    """One cause, or one reason, and the claims it concerns, at least one."""

    claims: tuple[ClaimVerdict, ...]

    @property
    def remedy(self) -> str | None:
        return self.claims[0].remedy

    @property
    def reasons(self) -> list[str]:
        """What was seen of it, each way of saying it once."""
        return list(dict.fromkeys(each.reason or "no reason is known" for each in self.claims))

    @property
    def losses(self) -> list[FrameLoss]:
        """Where frames were lost to it, each place once: the first frame stands for all of them."""
        places = {(each.lost.seen_at, each.lost.missed_at): each.lost for each in reversed(self.claims) if each.lost}
        return list(reversed(places.values()))

    @property
    def news(self) -> bool:
        """Whether any of it is not known."""
        return any(each.known is None for each in self.claims)

    @property
    def known(self) -> list[str]:
        """What is known of its claims, each entry once."""
        return list(dict.fromkeys(str(each.known) for each in self.claims if each.known))

    @property
    def modes(self) -> list[str]:
        return list(dict.fromkeys(each.mode for each in self.claims))


def causes_of_breakage(verdicts: Iterable[ClaimVerdict]) -> list[SharedCause]:
    """What was proven to have broken claims, news first, and then what broke most of them."""
    broken = [each for each in verdicts if each.verdict is Verdict.BROKEN and each.cause]
    return sorted(_grouped(broken, lambda each: each.cause), key=lambda each: not each.news)


def unexplained(verdicts: Iterable[ClaimVerdict]) -> list[ClaimVerdict]:
    """Claims that are broken, nobody knows by what, news first: that two look alike does not prove one cause."""
    found = [each for each in verdicts if each.verdict is Verdict.BROKEN and not each.cause]
    return sorted(found, key=lambda each: each.known is not None)


def first_of(verdicts: Iterable[ClaimVerdict]) -> dict[str, str]:
    """By claim, another that was named before and of which all is said already: broken by the same cause, or untried
    for the same reason. Claims that are the first of theirs, or alone, are not in it."""
    said = list(verdicts)
    groups = [*causes_of_breakage(said), *by_reason(said, Verdict.UNAVAILABLE)]
    return {each.claim: group.claims[0].claim for group in groups for each in group.claims[1:]}


def by_reason(verdicts: Iterable[ClaimVerdict], verdict: Verdict) -> list[SharedCause]:
    """Claims of which the same was said word for word, most of them first."""
    concerned = [each for each in verdicts if each.verdict is verdict]
    return _grouped(concerned, lambda each: (each.reason, each.remedy))


def _grouped(claims: Sequence[ClaimVerdict], key: Callable[[ClaimVerdict], Hashable]) -> list[SharedCause]:
    groups: dict[Hashable, list[ClaimVerdict]] = {}
    for each in claims:
        groups.setdefault(key(each), []).append(each)
    return sorted((SharedCause(tuple(group)) for group in groups.values()), key=lambda each: -len(each.claims))
