"""What `qemunet compare` does with the results of two runs."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from qemunet_tests.commands.fitted_lines import fitted, terminal_columns
from qemunet_tests.errors import UsageError

if TYPE_CHECKING:
    from qemunet_tests.report.changes import Changes


def compare_results(arguments: argparse.Namespace) -> int | None:
    """Print what became of each claim, and answer with the exit code; None where A is no run's results.

    Raises UsageError.
    """
    from qemunet_tests.report.changes import changes, results_in

    before = results_in(arguments.before)
    if before is None:
        return None
    after = results_in(arguments.after) if arguments.after else None
    if after is None or arguments.baseline or arguments.factor:
        raise UsageError("the results of a run are compared with those of another, without --baseline and --factor")
    found = changes(before, after)
    _print(found, arguments.json)
    if arguments.markdown:
        _write(arguments.markdown, found, f"{arguments.before} and {arguments.after}")
    return found.exit_code


def _print(found: "Changes", as_json: bool) -> None:
    from qemunet_tests.report.showing_changes import continued_at, lines

    if as_json:
        for line in (*found.claims, found.as_end()):
            print(line.model_dump_json(by_alias=True))
    else:
        width = terminal_columns()
        print("\n".join(part for line in lines(found) for part in fitted(line, width, continued_at(line))))


def _write(path: Path, found: "Changes", heading: str) -> None:
    from qemunet_tests.report.showing_changes import markdown
    from qemunet_tests.throughput.showing.markdown import write

    try:
        write(path, markdown(found, heading))
    except OSError as error:
        raise UsageError(f"--markdown {path}: {error.strerror}") from error
