"""What became of each claim from one run to another: its verdict, and what that rests on."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from qemunet_tests import named_file
from qemunet_tests.errors import UsageError
from qemunet_tests.report import varying_values
from qemunet_tests.report.change_shapes import ChangedClaim, ChangesEnd, HostChange, Turn
from qemunet_tests.report.host_changes import host_changes, in_words
from qemunet_tests.report.others_documents import read_as
from qemunet_tests.report.session_results import RESULTS_FILE
from qemunet_tests.report.shapes import ClaimVerdict, Results
from qemunet_tests.report.shared_causes import first_of
from qemunet_tests.report.verdict_of_test import Verdict

#: Hundreds of times what a run of everything writes.
LIMIT_BYTES = 1 << 26
_TRIED = (Verdict.HOLDS, Verdict.DEVIATES, Verdict.BROKEN, Verdict.INCONCLUSIVE)
#: What only one of the two runs has.
_IN_ONE_RUN = ("new", "gone")
#: Turns of which it is told why, in this order.
_TOLD_WHY: tuple[Turn, ...] = ("worse", "other")
#: From worst to best, of what says something about QEMU.
_RANKS = (Verdict.BROKEN, Verdict.DEVIATES, Verdict.HOLDS)


def results_in(path: Path) -> Results | None:
    """The results of a report's folder or of its results.json; None where the file is of another kind.

    A pipe can be read only once, and so is left to recordings. Raises UsageError where there is no such file, or its
    results are damaged.
    """
    if path.is_fifo():
        return None
    file = path / RESULTS_FILE if path.is_dir() else path
    try:
        with named_file.to_read(file) as stream:
            content = named_file.beginning(stream, LIMIT_BYTES + 1)
    except FileNotFoundError as error:
        missing = f"{path} has no results of a run: there is no {RESULTS_FILE} in it" if path.is_dir() else ""
        raise UsageError(missing or f"{file}: {error.strerror}") from error
    except OSError as error:
        raise UsageError(f"{file}: {error.strerror}") from error
    if not path.is_dir() and not _is_a_document(content):
        return None
    if len(content) > LIMIT_BYTES:
        raise UsageError(f"{file} has no results: it is larger than {LIMIT_BYTES >> 20} MB")
    try:
        return read_as(Results, content)
    except UsageError as why:
        raise UsageError(f"{file} has no results of a run: {why}") from None


def _is_a_document(content: bytes) -> bool:
    """Whether it is one JSON object, or what is left of one; a recording has one a line, which says its kind."""
    line, more, _ = content.partition(b"\n")
    if line.strip() == b"{":
        return True
    if len(content) > LIMIT_BYTES:
        return content.lstrip().startswith(b"{") and not (more and _is_of_a_recording(line))
    try:
        return isinstance(json.loads(content), dict) and not _is_of_a_recording(content)
    except (ValueError, RecursionError):
        return False


def _is_of_a_recording(line: bytes) -> bool:
    try:
        said = json.loads(line)
    except (ValueError, RecursionError):
        return False
    return isinstance(said, dict) and "kind" in said


@dataclass(frozen=True)
class Changes:
    """All that changed; `common` is how many claims both runs have, `host` what else is not the same.

    `by_chance` are claims of which values differ as they do in every run, `kinds` what those are.
    """

    claims: tuple[ChangedClaim, ...]
    common: int
    host: tuple[HostChange, ...]
    notes: tuple[str, ...]
    by_chance: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()

    @property
    def exit_code(self) -> Literal[0, 1, 3]:
        if self.common == 0:
            return 3
        return 1 if self.of("worse") else 0

    def of(self, turn: Turn) -> list[ChangedClaim]:
        return [each for each in self.claims if each.turn == turn]

    @property
    def reason(self) -> str:
        """The answer in a line."""
        if self.common == 0:
            return "the two have no claim in common"
        claims = "1 claim" if self.common == 1 else f"{self.common} claims"
        counted = {turn: f"{len(found)} {_words(turn, len(found))}" for turn in _WORDS if (found := self.of(turn))}
        of_both = ", ".join(said for turn, said in counted.items() if turn not in _IN_ONE_RUN)
        of_one = [said for turn, said in counted.items() if turn in _IN_ONE_RUN]
        told = f"{of_both}, of {claims} that both have" if of_both else f"no difference in {claims} that both have"
        return "; ".join([told, *of_one])

    @property
    def differences(self) -> list[str]:
        """What else is not the same, and may explain the rest, in sentences."""
        return [f"{each.name}: {' -> '.join(in_words(each))}" for each in self.host]

    def as_end(self) -> ChangesEnd:
        return ChangesEnd(
            kind="end", version=1, reason=self.reason, exit=self.exit_code, common=self.common,
            differences=self.differences, notes=list(self.notes), host=list(self.host),
            by_chance=list(self.by_chance), chance=list(self.kinds),
        )  # fmt: skip


#: Of one claim and of several.
_WORDS: dict[Turn, tuple[str, str]] = {
    "worse": ("took a turn for the worse", "took a turn for the worse"),
    "better": ("took a turn for the better", "took a turn for the better"),
    "other": ("ended otherwise", "ended otherwise"),
    "value": ("rests on other values", "rest on other values"),
    "new": ("is new", "are new"),
    "gone": ("was not tried again", "were not tried again"),
}


def _words(turn: Turn, count: int) -> str:
    one, several = _WORDS[turn]
    return one if count == 1 else several


def changes(before: Results, after: Results) -> Changes:
    """What the second run says that the first did not."""
    left, right = ({each.claim: each for each in run.verdicts} for run in (before, after))
    stayed = [claim for claim in left if claim in right and left[claim].verdict is right[claim].verdict]
    pools = varying_values.pools_of(before), varying_values.pools_of(after)
    values = {claim: varying_values.compared(left[claim], right[claim], pools) for claim in stayed}
    turns = {claim: _turn(left.get(claim), right.get(claim), values.get(claim)) for claim in {**left, **right}}
    told = first_of(right[claim] for told in _TOLD_WHY for claim, turn in turns.items() if turn == told)
    return Changes(
        tuple(
            _changed(claim, turn, left.get(claim), right.get(claim), told.get(claim))
            for claim, turn in turns.items()
            if turn
        ),
        len(left.keys() & right.keys()),
        tuple(host_changes(before, after)),
        tuple(_notes(before, after)),
        tuple(claim for claim, value in values.items() if value.by_chance),
        tuple(sorted({kind for value in values.values() for kind in value.by_chance})),
    )


def _changed(
    claim: str, turn: Turn, before: ClaimVerdict | None, after: ClaimVerdict | None, same_as: str | None
) -> ChangedClaim:
    said = before if after is None else after
    return ChangedClaim(
        kind="claim",
        version=1,
        claim=claim,
        turn=turn,
        before=before and before.verdict,
        after=after and after.verdict,
        observed_before=before and before.observed,
        observed=after and after.observed,
        reason=said and said.reason,
        remedy=said and said.remedy,
        expected_before=before and before.expected,
        expected=after and after.expected,
        reason_before=before and before.reason,
        same_as=same_as,
    )


def _turn(
    left: ClaimVerdict | None, right: ClaimVerdict | None, value: varying_values.TextComparison | None
) -> Turn | None:
    """Worse: a promise is no longer seen to hold, a deviation became a breakage, what was tried is unavailable."""
    if left is None or right is None:
        return "new" if left is None else "gone"
    if left.verdict is right.verdict:
        return None if value and value.alike else "value"
    return turn_between(left.verdict, right.verdict)


def turn_between(before: Verdict, after: Verdict) -> Turn:
    """What it means that a verdict is another one now."""
    if before is Verdict.HOLDS or (before in _TRIED and after is Verdict.UNAVAILABLE):
        return "worse"
    if before in _RANKS and after in _RANKS:
        return "worse" if _RANKS.index(after) < _RANKS.index(before) else "better"
    return "better" if after is Verdict.HOLDS else "other"


def _notes(before: Results, after: Results) -> Iterator[str]:
    for word, run in (("first", before), ("second", after)):
        if run.interrupted:
            yield f"the {word} run was interrupted: what it did not come to is not in it"
    if before.version != after.version:
        yield "qemunet itself is another version: what it says may have changed with that alone"
