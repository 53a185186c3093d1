"""What failed, once more where a long card ends, and the line that tries it again."""

import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path

from qemunet_tests.report.card_lines import VERDICT_WIDTH
from qemunet_tests.report.shapes import ClaimVerdict, Results
from qemunet_tests.report.verdict_of_test import Verdict

#: More claims than these are not typed: the report of the run names them.
_MOST_NAMED = 12


def lines(results: Results, options: Sequence[str], report: Path | None, width: int | None) -> Iterator[str]:
    """Claims that are broken or inconclusive, and news, one a line; then what to type. Nothing where none are.

    `options` are those of this run that make it what it was, `report` the folder that its results are in, and `width`
    the columns that there are, None where lines may be of any length.
    """
    failed = [each for each in results.verdicts if each.known is None and each.verdict in _FAILED]
    if not failed:
        return
    yield ""
    for each in failed:
        line = " ".join(
            f"{each.verdict.value:<{VERDICT_WIDTH}}  {each.claim}  {each.reason or ''}".split("\n")
        ).rstrip()
        yield line if width is None or len(line) <= width else f"{line[: width - 1]}…"
    yield "to try that again:"
    yield shlex.join(["qemunet", "run", *_named(failed, report), *options])


_FAILED = (Verdict.BROKEN, Verdict.INCONCLUSIVE)


def _named(failed: Sequence[ClaimVerdict], report: Path | None) -> list[str]:
    if len(failed) > _MOST_NAMED and report:
        return ["--failed", str(report)]
    return [each.claim for each in failed]
