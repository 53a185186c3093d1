"""Lines of the card: how a text wraps beside its label, and in which colour a verdict is told."""

import textwrap
from collections.abc import Iterator

from rich.text import Text

from qemunet_tests.report.verdict_of_test import Verdict

STYLES = {
    Verdict.HOLDS: "green",
    Verdict.DEVIATES: "yellow",
    Verdict.BROKEN: "bold red",
    Verdict.INCONCLUSIVE: "magenta",
    Verdict.UNAVAILABLE: "cyan",
}
VERDICT_WIDTH = max(len(verdict) for verdict in Verdict)


def labelled(label: str, text: str, width: int, style: str = "dim") -> Iterator[Text]:
    """A label and a text that wraps beside it. Paths stay whole, so that they can be copied."""
    yield from beside(Text(label, style), text, width)


def beside(label: Text, text: str, width: int, style: str = "") -> Iterator[Text]:
    """The same beside a label that has styles of its own."""
    first, *more = _broken_into_lines(text, width - len(label))
    yield Text.assemble(label, (first, style))
    for line in more:
        yield Text.assemble(" " * len(label), (line, style))


def wrapped(sentence: str, width: int) -> Iterator[Text]:
    """A sentence, its further lines a little to the right."""
    first, *more = _broken_into_lines(sentence, width - 2)
    yield Text(first)
    for line in more:
        yield Text(f"  {line}")


def _broken_into_lines(text: str, width: int) -> list[str]:
    wrapped = textwrap.wrap(text, max(width, 20), break_long_words=False, break_on_hyphens=False)
    return wrapped or [""]


def plural(count: int, noun: str) -> str:
    """A number of things, in words."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
