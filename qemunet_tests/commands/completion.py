"""`qemunet completion`: what a shell reads to complete commands, options and claim ids, and the answers it gets.

At each Tab the shell starts `qemunet` itself, with the line so far in its environment: argcomplete's protocol.
Nothing of it is imported otherwise.
"""

import argparse
import os
import shlex
from collections.abc import Callable, Iterable

SHELLS = ("bash", "zsh", "fish")
#: zsh has no `compdef` before its completion is begun, which many a ~/.zshrc leaves out. -i: no questions at the start.
_ZSH_BEGINS = "(( $+functions[compdef] )) || { autoload -Uz compinit && compinit -i }"
EXAMPLES = """\
examples:
  eval "$(qemunet completion bash)"       now; in ~/.bashrc, for every shell to come
  eval "$(qemunet completion zsh)"        the same, in ~/.zshrc
  qemunet completion fish | source        the same, in ~/.config/fish/config.fish
"""


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Describe the command."""
    parser = subparsers.add_parser(
        "completion",
        help="what a shell reads to complete commands, options and claim ids",
        description="Print what a shell reads to complete the words of `qemunet` at a Tab: commands, options, files,\n"
        "and the ids of claims.",
        epilog=EXAMPLES,
    )
    parser.add_argument("shell", metavar="SHELL", choices=SHELLS, help=" or ".join(SHELLS))


def execute(arguments: argparse.Namespace) -> int:
    """Print it."""
    from argcomplete.shell_integration import shellcode

    if arguments.shell == "zsh":
        print(_ZSH_BEGINS)
    print(shellcode(["qemunet"], shell=arguments.shell))
    return 0


def is_asked() -> bool:
    """Whether this process was started by a shell that wants to know how a line goes on."""
    return "_ARGCOMPLETE" in os.environ


def command() -> str:
    """The command in that line, empty where none is there yet."""
    line = os.environ.get("COMP_LINE", "")[: _point()]
    try:
        words = shlex.split(line)
    except ValueError:  # a quote is still open
        words = line.split()
    # The last one is still being typed, unless a space is behind it.
    finished = words if line.endswith(" ") else words[:-1]
    return finished[1] if len(finished) > 1 else ""


def _point() -> int | None:
    point = os.environ.get("COMP_POINT", "")
    return int(point) if point.isdecimal() else None


def answer(parser: argparse.ArgumentParser) -> None:
    """Tell the shell, and end."""
    import argcomplete

    for each in _all_actions(parser):
        if each.dest in ("claims", "globs"):
            each.completer = _claim_ids  # type: ignore[attr-defined]
        elif each.dest == "mode" and not each.option_strings:
            each.completer = _modes  # type: ignore[attr-defined]
        elif each.metavar and "|" in str(each.metavar):
            each.completer = _one_of(str(each.metavar).split("|"))  # type: ignore[attr-defined]
    argcomplete.autocomplete(parser)


def _all_actions(parser: argparse.ArgumentParser) -> Iterable[argparse.Action]:
    for action in parser._actions:
        yield action
        if isinstance(action, argparse._SubParsersAction):
            for below in action.choices.values():
                yield from _all_actions(below)


def _claim_ids(prefix: str, **_: object) -> list[str]:
    from qemunet_tests.claims import load

    return [claim for claim in load() if claim.startswith(prefix)]


def _one_of(words: list[str]) -> Callable[..., list[str]]:
    return lambda prefix, **_: [word for word in words if word.startswith(prefix)]


def _modes(prefix: str, **_: object) -> list[str]:
    from qemunet_tests import modes

    return [mode for mode in modes.every() if mode.startswith(prefix)]
