"""`qemunet modes`: which mode, by what people ask and what a run says."""

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from qemunet_tests.errors import UsageError

if TYPE_CHECKING:
    from qemunet_tests.report.shapes import AnsweredQuestion, ModeComparison

VERDICT_WIDTH = len("inconclusive") + 1
EXAMPLES = """\
examples:
  qemunet run --report out && qemunet modes out     what this host's modes can, as it was seen
  qemunet modes                                     what is asked, and by which claims a run answers
  qemunet modes out --json                          for scripts (its shape: report/schemas/modes.json)
"""


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Describe the command."""
    parser = subparsers.add_parser(
        "modes",
        help="which mode? what each can, by the verdicts of a run",
        description="What people ask of a networking mode, answered by the verdicts of a run. Nothing is tried.",
        epilog=EXAMPLES,
    )
    parser.add_argument("folder", metavar="DIR", type=Path, nargs="?", help="a report's folder, or its results.json")
    parser.add_argument("--json", action="store_true", help="for scripts")


def execute(arguments: argparse.Namespace) -> int:
    """Print the table. Raises UsageError where DIR has no results."""
    from qemunet_tests.report.changes import results_in
    from qemunet_tests.report.mode_answers import answers

    results = results_in(arguments.folder) if arguments.folder else None
    if arguments.folder and results is None:
        raise UsageError(f"{arguments.folder} has no results of a run")
    found = answers(results)
    if arguments.json:
        print(found.as_json(), end="")
    else:
        _print(found)
    return 0


def _print(found: "ModeComparison") -> None:
    """A question a paragraph: beside each other, as many modes as there are would have a few letters each."""
    from rich.text import Text

    from qemunet_tests.commands.terminal import Screen
    from qemunet_tests.report.card_lines import labelled

    screen = Screen(highlight=False)
    mode_width = max(map(len, found.modes), default=0) + 1
    for question in found.questions:
        screen.print(Text(question.asks, style="bold"))
        for label, said in _lines(question, mode_width):
            for line in labelled(f"  {label:<{mode_width + VERDICT_WIDTH}}", said, screen.width):
                screen.print(line, soft_wrap=True)


def _lines(question: "AnsweredQuestion", mode_width: int) -> Iterator[tuple[str, str]]:
    """The answers, each beside its mode and verdict; modes of which the same is said without a claim, in one line."""
    silent: dict[str, list[str]] = {}
    for each in question.answers:
        if each.claims or each.verdict:
            claims = f" ({', '.join(each.claims)})"
            yield f"{each.mode:<{mode_width}}{each.verdict or '':<{VERDICT_WIDTH}}", f"{each.says}{claims}"
        else:
            silent.setdefault(each.says, []).append(each.mode)
    for said, modes in silent.items():
        if len(modes) == 1:
            yield modes[0], said
        else:
            yield "", f"{', '.join(modes)}: {said}"
