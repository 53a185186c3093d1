"""The command `qemunet`: finds the command's module, and turns errors into one line and an exit code."""

import argparse
import contextlib
import difflib
import importlib
import importlib.metadata
import importlib.util
import itertools
import re
import sys
from collections.abc import Sequence
from types import ModuleType
from typing import Any, NoReturn

from qemunet_tests import signal_handlers
from qemunet_tests.commands import COMMANDS, completion, streams
from qemunet_tests.commands.fitted_help import FittedHelp
from qemunet_tests.commands.unforeseen_errors import accident
from qemunet_tests.errors import HarnessError, Unavailable, UsageError
from qemunet_tests.printable import printable

DESCRIPTION = "Does guest networking of QEMU work on this machine, as its documentation promises?"
EPILOG = """\
examples:
  qemunet run                         try every claim in the lab and print a report card
  qemunet run 'user/*' --report out   only user networking; results.json and junit.xml go to out/
  qemunet claims                      what is promised, where, and what tests it
  qemunet COMMAND --help              more about one command

exit codes: 0 nothing is broken; 1 something is; 2 wrong usage; 3 nothing is known to be broken,
but something could not be found out

QEMUNET_TRACEBACK=1 shows where in the program an unforeseen error came from
"""


class OneLineParser(argparse.ArgumentParser):
    """Says what is wrong in one line, and where to read more. Takes options only as they are spelled in its help."""

    def __init__(self, **described: Any) -> None:
        super().__init__(**{"formatter_class": FittedHelp, "allow_abbrev": False, **described})

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message} (see `{self.prog} --help`)")


def main(argv: Sequence[str] | None = None) -> NoReturn:
    """The console script."""
    signal_handlers.undo_inherited()
    try:
        streams.require_open()
    except HarnessError as error:
        sys.exit(_complain(str(error), code=3))
    sys.exit(exit_code(sys.argv[1:] if argv is None else argv))


def exit_code(argv: Sequence[str]) -> int:
    """Run one command. Whatever goes wrong becomes one line on standard error."""
    with streams.standard_output() as output:
        code = _guarded(argv, output)
        with contextlib.suppress(BrokenPipeError):
            output.flush()
    if output.failure:
        _complain(f"standard output cannot be written: {output.failure.strerror}", code)
    # What nobody can read is not known: only worse is said of it.
    return 3 if code == 0 and (output.failure or output.abandoned) else code


def _guarded(argv: Sequence[str], output: streams.OutputStream) -> int:
    try:
        return execute(argv)
    except Unavailable as error:
        _complain(error.reason, code=3)
        return _complain(f"remedy: {error.remedy}", code=3)
    except (UsageError, HarnessError) as error:
        return _complain(str(error), code=2 if isinstance(error, UsageError) else 3)
    except KeyboardInterrupt:
        return 130
    except SystemExit as ended:
        # Help was asked for, or the version.
        return ended.code if isinstance(ended.code, int) else 0
    except Exception as error:
        # Whoever read our output has seen enough.
        return 3 if output.abandoned else _complain(accident(error), code=3)


def execute(argv: Sequence[str]) -> int:
    """Raises what the command raises."""
    if completion.is_asked():
        completion.answer(_parser(_modules(completion.command())))
    wanted = argv[0] if argv else ""
    modules = _modules(wanted)
    if wanted and not wanted.startswith("-") and wanted not in modules:
        raise UsageError(_unknown(wanted))
    _require_no_empty_word(argv)
    parser = _parser(modules)
    arguments, unknown = parser.parse_known_args(argv)
    if unknown:
        # argparse itself would name the help of `qemunet` alone.
        named = [each for each in (arguments.command, getattr(arguments, "action", None)) if each]
        raise UsageError(f"unrecognized arguments: {' '.join(unknown)} (see `{' '.join(['qemunet', *named])} --help`)")
    if arguments.command is None:
        parser.print_help()
        return 0
    code: int = modules[arguments.command].execute(arguments)
    sys.stdout.flush()
    return code


def _require_no_empty_word(argv: Sequence[str]) -> None:
    """A variable of a script that is not set: an option would count for as good as not given."""
    ours = itertools.takewhile(lambda word: word != "--", argv)
    for before, word in itertools.pairwise(["qemunet", *ours]):
        if not word or re.fullmatch("--[a-z-]+=", word):
            where = word or f"the empty word behind {before}"
            raise UsageError(f"nothing is named by {where}: fill it in, or leave it out")


def whole_parser() -> argparse.ArgumentParser:
    """Every command with its options, for documents that are made of them."""
    return _parser(_modules(""))


def _modules(wanted: str) -> dict[str, ModuleType]:
    """Only the module of the command in question: others may take long to import."""
    names = [wanted] if wanted in COMMANDS else list(COMMANDS)
    return {name: module for name in names if (module := _module(name))}


def _parser(modules: dict[str, ModuleType]) -> argparse.ArgumentParser:
    parser = OneLineParser(
        prog="qemunet",
        description=DESCRIPTION,
        epilog=EPILOG,
    )
    parser.add_argument("--version", action="version", version=f"qemunet {version()}")
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands")
    for module in modules.values():
        module.add_parser(subparsers)
    return parser


def version() -> str:
    """The installed version, or a word for a bare checkout."""
    try:
        return importlib.metadata.version("qemunet")
    except importlib.metadata.PackageNotFoundError:
        return "(not installed)"


def _module(name: str) -> ModuleType | None:
    full_name = f"qemunet_tests.commands.{name}"
    return importlib.import_module(full_name) if importlib.util.find_spec(full_name) else None


def _unknown(command: str) -> str:
    if command == "help":
        return "there is no command 'help': `qemunet --help` and `qemunet COMMAND --help` tell more"
    close = difflib.get_close_matches(command, COMMANDS, n=1)
    hint = f"did you mean '{close[0]}'?" if close else f"there are {', '.join(COMMANDS)}"
    return f"there is no command {command!r}: {hint}"


def _complain(message: str, code: int) -> int:
    # Nobody is left to be told where standard error fails too.
    with contextlib.suppress(OSError):
        print(f"qemunet: {printable(' '.join(message.split()))}", file=sys.stderr)
    return code


if __name__ == "__main__":
    main()
