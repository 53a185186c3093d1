"""`qemunet compare`: a regression or noise between recordings, and what became of each claim between runs."""

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from qemunet_tests.commands.claim_changes import compare_results
from qemunet_tests.commands.fitted_lines import fitted, terminal_columns
from qemunet_tests.errors import UsageError

if TYPE_CHECKING:
    from qemunet_tests.throughput.judging.outcome import Comparison

EXAMPLES = """\
examples:
  qemunet compare before.jsonl after.jsonl                   two recordings of the same machine and QEMU
  qemunet compare before.jsonl after.jsonl --factor qemu     QEMU was updated in between: that is the question
  qemunet compare today.jsonl --baseline                     two QEMUs in one recording, the surest way
  qemunet compare a.jsonl b.jsonl --markdown "$GITHUB_STEP_SUMMARY"
  qemunet compare out/before out                             two runs: verdicts, values and the host
  qemunet compare debian12 debian13/results.json             the same of two hosts

A recording that differs in anything but the declared factors is refused, with a list of what differs.

exit codes: 0 no regression; 1 a regression; 2 wrong usage; 3 inconclusive: the comparison is not valid, an A/A arm
failed, or the measurements are not precise enough

Of two runs it tells which claims changed their verdict, which rest on other values than before, and what is not the
same on the host (QEMU, libslirp, passt, kernel, packages). What is another one in every run, such as a lease, a port, a
pid or seconds, is no change.

exit codes: 0 no claim took a turn for the worse; 1 one did: it held and does not, it deviated and is broken, or it was
tried and is unavailable; 2 wrong usage; 3 the runs have no claim in common
"""


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Describe the command."""
    parser = subparsers.add_parser(
        "compare",
        help="tell a regression from noise, or what became of each claim",
        description="Compare two recordings, one recording's QEMU with its baseline, or the results of two runs.",
        epilog=EXAMPLES,
    )
    parser.add_argument("before", metavar="A", type=Path, help="a recording, or a report's folder or results.json")
    parser.add_argument("after", metavar="B", type=Path, nargs="?", help="another, made later")
    parser.add_argument("--baseline", action="store_true", help="compare within A: its QEMU with its baseline")
    parser.add_argument("--factor", metavar="NAME", action="append", default=[], help="what may differ, or any")
    parser.add_argument("--markdown", metavar="FILE", type=Path, help="append a summary in Markdown")
    parser.add_argument("--json", action="store_true", help="JSON lines on standard output")


def execute(arguments: argparse.Namespace) -> int:
    """Compare and answer with the exit code. Raises UsageError."""
    from qemunet_tests.throughput import recording
    from qemunet_tests.throughput.judging import comparing
    from qemunet_tests.throughput.judging.factors import FACTORS

    if arguments.baseline == bool(arguments.after):
        raise UsageError("compare takes two recordings or two results, or one recording and --baseline")
    for factor in arguments.factor:
        if factor not in FACTORS:
            raise UsageError(f"--factor: there is no {factor!r}; there are {', '.join(FACTORS)}")
    if (code := compare_results(arguments)) is not None:
        return code
    before = recording.read(arguments.before)
    if arguments.baseline:
        found, heading = comparing.against_baseline(before), f"{arguments.before} against its baseline"
    else:
        found = comparing.compare(before, recording.read(arguments.after), arguments.factor)
        heading = f"{arguments.before} and {arguments.after}"
    if arguments.json:
        _print_lines(found)
    else:
        _print(found)
    if arguments.markdown:
        _write(arguments.markdown, found, heading)
    return found.exit_code


def _print(found: "Comparison") -> None:
    width = terminal_columns()
    print("\n".join(part for line in _lines(found) for part in fitted(line, width, indent=4)))


def _lines(found: "Comparison") -> Iterator[str]:
    yield f"{found.verdict}: {found.reason}"
    for line in found.lines:
        change = line.change
        span = f" [{change.low:.3g} to {change.high:.3g}]" if change.low and change.high else ""
        p = "" if change.p is None else f", p {change.p:.3f}"
        yield (
            f"  {line.metric} {line.nic} {'/'.join(line.arms)}: {line.before:.3g} -> {line.after:.3g}, "
            f"{change.point:.3g} times{span}{p}: {line.verdict}"
        )
    yield from (f"  undeclared difference: {each}" for each in found.undeclared)
    yield from (f"  declared difference: {each}" for each in found.declared)
    if found.undeclared:
        factors = " ".join(f"--factor {name}" for name in dict.fromkeys(each.factor for each in found.undeclared))
        yield f"  to compare nevertheless: {factors}"
    yield from (f"  warning: {warning}" for warning in found.warnings)


def _print_lines(found: "Comparison") -> None:
    for line in (*(each.as_summary() for each in found.lines), found.as_end()):
        print(line.model_dump_json(by_alias=True))


def _write(path: Path, found: "Comparison", heading: str) -> None:
    from qemunet_tests.throughput.showing import markdown

    try:
        markdown.write(path, markdown.render(found, heading))
    except OSError as error:
        raise UsageError(f"--markdown {path}: {error.strerror}") from error
