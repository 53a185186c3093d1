"""What became of many claims: a line for each topic, and one for each reason why claims could not be tried."""

from collections.abc import Iterator, Mapping, Sequence

from rich.text import Text

from qemunet_tests.report.card_lines import STYLES, labelled, plural
from qemunet_tests.report.mode_summary import shortcomings
from qemunet_tests.report.shapes import ClaimVerdict
from qemunet_tests.report.shared_causes import SharedCause, by_reason
from qemunet_tests.report.verdict_of_test import Verdict, worst


def topic_lines(modes: Mapping[str, Sequence[ClaimVerdict]], width: int) -> Iterator[Text]:
    """The claims of each mode by topics, in the order in which these are listed."""
    topics = {mode: _by_topic(group) for mode, group in modes.items()}
    mode_width = max(map(len, topics), default=0) + 2
    topic_width = max((len(topic) for each in topics.values() for topic in each), default=0) + 2
    yield Text()
    for mode, found in topics.items():
        for number, (topic, group) in enumerate(found.items()):
            label = f"{'' if number else mode:<{mode_width}}{topic:<{topic_width}}"
            yield from labelled(label, _said(group), width, STYLES[worst(each.verdict for each in group)])
    untried = by_reason([each for group in modes.values() for each in group], Verdict.UNAVAILABLE)
    if untried:
        yield Text()
    for reason in untried:
        yield from labelled("unavailable  ", _untried(reason), width, STYLES[Verdict.UNAVAILABLE])


def _by_topic(group: Sequence[ClaimVerdict]) -> dict[str, list[ClaimVerdict]]:
    found: dict[str, list[ClaimVerdict]] = {}
    for each in group:
        found.setdefault(each.topic or "", []).append(each)
    return found


def _said(group: Sequence[ClaimVerdict]) -> str:
    holding = sum(each.verdict is Verdict.HOLDS for each in group)
    tried = sum(each.verdict is not Verdict.UNAVAILABLE for each in group)
    # Why some could not be tried is said once for all topics.
    others = shortcomings([each for each in group if each.verdict is not Verdict.UNAVAILABLE])
    left_out = [f"{len(group) - tried} not tried"] if tried < len(group) else []
    return "; ".join([f"{holding} of {tried} hold", *others, *left_out])


def _untried(reason: SharedCause) -> str:
    why = [reason.reasons[0], *([reason.remedy] if reason.remedy else [])]
    named = ", ".join(each.claim for each in reason.claims)
    return f"{plural(len(reason.claims), 'claim')}: {'; '.join(why)} ({named})"
