"""Which tests of a session cite which claim, and which of them were asked for."""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from qemunet_tests.claims import Claim, Installed, cited_by, load
from qemunet_tests.claims.citations import MARKER, TESTS
from qemunet_tests.errors import HarnessError, Unavailable, UsageError
from qemunet_tests.plugin import pytest_internals, workers
from qemunet_tests.report.claim_report import ClaimReport

if TYPE_CHECKING:
    from qemunet_tests.settings import Settings

#: Where a test remembers what it found out.
RECORD = pytest.StashKey[ClaimReport]()
_REFUSAL = pytest.StashKey[Exception]()
#: How a claim's id is spelled, or one that was mistyped.
_ID = re.compile(r"[\w-]+/[\w-]+")


def cite(items: Iterable[pytest.Item], strict: bool) -> None:
    """Give every test that cites a claim a record of its own.

    Other projects may use a marker of the same name: only where `strict` is a test refused, when its turn comes, that
    does not cite exactly one claim that exists, and then only one with a word that is spelled as their ids
    are. One that asks for our fixture and cites nothing else is refused by that.
    """
    for item in items:
        markers = list(item.iter_markers(MARKER))
        ids = [str(argument) for marker in markers for argument in marker.args]
        claim = load().get(ids[0]) if len(ids) == 1 else None
        if claim:
            item.stash[RECORD] = ClaimReport(claim, _name_for_people(item))
            item.extra_keyword_matches.add(claim.id)  # for pytest's -k
        elif markers and strict and any(map(_ID.fullmatch, ids)):
            item.stash[_REFUSAL] = UsageError(
                "a test has to cite one claim that exists, for instance @pytest.mark.claim('user/address'); "
                f"this one cites {', '.join(map(repr, ids))}"
            )


def keep_within_bounds(items: Iterable[pytest.Item], installed: Installed) -> None:
    """What is promised for other versions than those at hand is unavailable: no guest is started for it."""
    for item in items:
        if record := item.stash.get(RECORD, None):
            record.installed = installed
            if refusal := _out_of_bounds(record.claim, installed):
                item.stash[_REFUSAL] = refusal


def _out_of_bounds(claim: Claim, installed: Installed) -> Exception | None:
    try:
        outside = claim.bounds.outside(installed)
    except (HarnessError, Unavailable, UsageError) as error:
        return error
    return Unavailable(f"this is promised {outside.reason}", outside.remedy) if outside else None


def begin(item: pytest.Item) -> None:
    """A test's turn has come.

    Fails a test that cites wrongly, in one line; raises Unavailable for one whose claim is for other versions. Not
    before: an error while tests are collected has pytest-xdist's workers end without a word.
    """
    record, refusal = item.stash.get(RECORD, None), item.stash.get(_REFUSAL, None)
    if record:
        record.began()
    if refusal and not record:
        pytest.fail(str(refusal), pytrace=False)
    if refusal:
        raise refusal


def take_down(item: pytest.Item, call: pytest.CallInfo[None], report: pytest.TestReport) -> None:
    """Remember how a phase ended; the report of the last one carries the finding."""
    if record := item.stash.get(RECORD, None):
        error = call.excinfo.value if call.excinfo else None
        record.ended(call.when, error, call.duration, pytest_internals.fixtures_of(item))
        if call.when == "teardown":
            workers.send_verdict(report, record.verdict())


def select(items: list[pytest.Item], asked: "Settings") -> tuple[list[pytest.Item], list[pytest.Item]]:
    """The tests of the claims that were asked for, and the others; all of them where none were."""
    wanted = asked.wanted()
    if wanted is None:
        return items, []
    chosen: list[pytest.Item] = []
    left_out: list[pytest.Item] = []
    for item in items:
        record = item.stash.get(RECORD, None)
        (chosen if record and record.claim.id in wanted else left_out).append(item)
    return chosen, left_out


def claim_of_location(nodeid: str, root: Path) -> str | None:
    """The claim of a test of which nothing but pytest's name for it is known, as when a worker dies."""
    file, *names = nodeid.partition("[")[0].split("::")
    if not names:
        return None
    for candidate in (root / file, Path(file), TESTS / Path(file).name):
        if claims := cited_by(candidate, names[-1]):
            row = nodeid.partition("[")[2]
            # A claim's name may begin like a longer one's.
            named = claims if len(claims) == 1 else [claim for claim in claims if _names(row, claim)]
            return max(named, key=len, default=None)
    return None


def _names(row: str, claim: str) -> bool:
    """Whether a row of a table of tests bears a claim's name: others may stand beside it, and behind it a number."""
    return re.search(rf"(?:^|-){re.escape(claim)}\d*(?:-|\]|$)", row) is not None


def _name_for_people(item: pytest.Item) -> str:
    """What pytest takes after --pyargs for tests of a package, for instance `package.module::test_it[1]`."""
    module = getattr(item, "module", None)
    _, separator, name = item.nodeid.partition("::")
    return f"{module.__name__}::{name}" if module and separator else item.nodeid
