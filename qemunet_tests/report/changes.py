"""What became of each claim from one run to another."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from qemunet_tests import named_file
from qemunet_tests.errors import UsageError
from qemunet_tests.report.session_results import RESULTS_FILE
from qemunet_tests.report.shapes import ChangedClaim, ChangesEnd, ClaimVerdict, Results, Turn
from qemunet_tests.report.verdict_of_test import Verdict

#: Hundreds of times what a run of everything writes.
LIMIT_BYTES = 1 << 26
_TRIED = (Verdict.HOLDS, Verdict.DEVIATES, Verdict.BROKEN, Verdict.INCONCLUSIVE)
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
            content = stream.read(LIMIT_BYTES + 1)
    except OSError as error:
        raise UsageError(f"{file}: {error.strerror}") from error
    if not path.is_dir() and not _is_a_document(content):
        return None
    if len(content) > LIMIT_BYTES:
        raise UsageError(f"{file} has no results: it is larger than {LIMIT_BYTES >> 20} MB")
    try:
        return Results.model_validate_json(content)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        raise UsageError(
            f"{file} has no results of a run: {'.'.join(map(str, first['loc']))}: {first['msg']}"
        ) from None


def _is_a_document(content: bytes) -> bool:
    """Whether it is one JSON object; a recording is one a line."""
    try:
        said = json.loads(content)
    except (ValueError, RecursionError):
        return False
    return isinstance(said, dict) and "kind" not in said


@dataclass(frozen=True)
class Changes:
    """All that changed; `common` is how many claims both runs have, `differences` what else is not the same."""

    claims: tuple[ChangedClaim, ...]
    common: int
    differences: tuple[str, ...]
    notes: tuple[str, ...]

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
        counted = [f"{len(found)} {word}" for turn, word in _WORDS.items() if (found := self.of(turn))]
        claims = "1 claim" if self.common == 1 else f"{self.common} claims"
        return f"{', '.join(counted) or 'nothing changed'}, of {claims} that both have"

    def as_end(self) -> ChangesEnd:
        return ChangesEnd(
            kind="end", version=1, reason=self.reason, exit=self.exit_code, common=self.common,
            differences=list(self.differences), notes=list(self.notes),
        )  # fmt: skip


_WORDS: dict[Turn, str] = {
    "worse": "took a turn for the worse", "better": "took a turn for the better", "other": "ended otherwise",
    "new": "are new", "gone": "were not tried again",
}  # fmt: skip


def changes(before: Results, after: Results) -> Changes:
    """What the second run says that the first did not."""
    left, right = ({each.claim: each for each in run.verdicts} for run in (before, after))
    claims = [_changed(claim, left.get(claim), right.get(claim)) for claim in dict.fromkeys([*left, *right])]
    return Changes(
        tuple(each for each in claims if each),
        len(left.keys() & right.keys()),
        tuple(_differences(before, after)),
        tuple(_notes(before, after)),
    )


def _changed(claim: str, before: ClaimVerdict | None, after: ClaimVerdict | None) -> ChangedClaim | None:
    turn = _turn(before.verdict if before else None, after.verdict if after else None)
    if turn is None:
        return None
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
    )


def _turn(before: Verdict | None, after: Verdict | None) -> Turn | None:
    """Worse: a promise is no longer seen to hold, a deviation became a breakage, what was tried is unavailable."""
    if before is after:
        return None
    if before is None or after is None:
        return "new" if before is None else "gone"
    if before is Verdict.HOLDS or (before in _TRIED and after is Verdict.UNAVAILABLE):
        return "worse"
    if before in _RANKS and after in _RANKS:
        return "worse" if _RANKS.index(after) < _RANKS.index(before) else "better"
    return "better" if after is Verdict.HOLDS else "other"


def _differences(before: Results, after: Results) -> Iterator[str]:
    """What the two were made with that is not the same, and may explain the rest."""
    for name, left, right in (
        ("host", before.host.name or before.host.id, after.host.name or after.host.id),
        ("kernel", before.host.kernel, after.host.kernel),
        ("distribution", before.host.distribution, after.host.distribution),
        ("QEMU", before.qemu.version, after.qemu.version),
        ("libslirp", before.qemu.slirp, after.qemu.slirp),
        ("accelerator", before.accel.used, after.accel.used),
        ("image", before.image and before.image.digest[:12], after.image and after.image.digest[:12]),
        ("target", before.target, after.target),
        ("qemunet", before.version, after.version),
    ):
        if left != right:
            yield f"{name}: {left or 'unknown'} -> {right or 'unknown'}"


def _notes(before: Results, after: Results) -> Iterator[str]:
    for word, run in (("first", before), ("second", after)):
        if run.interrupted:
            yield f"the {word} run was interrupted: what it did not come to is not in it"
