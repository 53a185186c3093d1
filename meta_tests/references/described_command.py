"""A command's own description, read once for every document made of it. The same with every Python."""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass

from qemunet_tests.__main__ import whole_parser


@dataclass(frozen=True)
class DescribedOption:
    """An option or an argument: as it is typed, and what it says of itself."""

    typed: str
    says: str


@dataclass(frozen=True)
class DescribedCommand:
    """`name` is as typed, for instance `qemunet image build`; `about` the line in the list of commands."""

    name: str
    about: str
    description: str
    synopsis: str
    arguments: tuple[DescribedOption, ...]
    options: tuple[DescribedOption, ...]
    epilog: str


def commands() -> list[DescribedCommand]:
    """`qemunet` itself, and every command, those of commands after them."""
    return list(_described(whole_parser(), ""))


def _described(parser: argparse.ArgumentParser, about: str) -> Iterator[DescribedCommand]:
    shown = [action for action in parser._actions if action.help != argparse.SUPPRESS]
    subparsers = [each for each in shown if isinstance(each, argparse._SubParsersAction)]
    arguments = [each for each in shown if not each.option_strings and each not in subparsers]
    options = [each for each in shown if each.option_strings]
    yield DescribedCommand(
        name=parser.prog,
        about=about,
        description=parser.description or "",
        synopsis=_synopsis(arguments, bool(options), subparsers),
        arguments=tuple(DescribedOption(_metavar(each), _says(each, parser)) for each in arguments),
        options=tuple(DescribedOption(_typed(each), _says(each, parser)) for each in options),
        epilog=parser.epilog or "",
    )
    for each in subparsers:
        abouts = {choice.dest: choice.help or "" for choice in each._choices_actions}
        for name, below in each.choices.items():
            yield from _described(below, abouts[name])


def _synopsis(arguments: list[argparse.Action], has_options: bool, subparsers: list[argparse.Action]) -> str:
    words = ["[OPTION...]"] if has_options else []
    words += [
        {"*": "[{}...]", "?": "[{}]", "+": "{}..."}.get(str(each.nargs), "{}").format(_metavar(each))
        for each in arguments
    ]
    return " ".join([*words, *(str(each.metavar) for each in subparsers)])


def _metavar(action: argparse.Action) -> str:
    return str(action.metavar or (",".join(map(str, action.choices)) if action.choices else action.dest.upper()))


def _typed(action: argparse.Action) -> str:
    value = "" if action.nargs == 0 else f" {_metavar(action)}{'...' if action.nargs == '+' else ''}"
    return ", ".join(action.option_strings) + value


def _says(action: argparse.Action, parser: argparse.ArgumentParser) -> str:
    # The number of workers is this machine's; a document is everybody's.
    return " ".join((action.help or "").replace("%(default)s", str(action.default)).replace("%%", "%").split())
