"""Which tests of a session cite which claim, and which of them were asked for."""

from collections.abc import Iterable
from pathlib import Path

import pytest

from qemunet_tests.claims import Claim, cited_by, load, matching
from qemunet_tests.claims.citations import MARKER, TESTS
from qemunet_tests.report.record import Record

#: Where a test remembers what it found out.
RECORD = pytest.StashKey[Record]()


def cite(items: Iterable[pytest.Item], strict: bool) -> None:
    """Give every test that cites a claim a record of its own.

    Other projects may use a marker of the same name: only where `strict` does a claim that does not exist
    raise pytest.UsageError.
    """
    for item in items:
        if claim := _claim_of(item, strict):
            item.stash[RECORD] = Record(claim, _name_for_people(item))


def select(items: list[pytest.Item], globs: tuple[str, ...]) -> list[pytest.Item]:
    """The tests of the claims that a glob matches; all tests where there are no globs."""
    if not globs:
        return items
    wanted = matching(globs)
    return [item for item in items if RECORD in item.stash and item.stash[RECORD].claim.id in wanted]


def claim_of_location(nodeid: str, root: Path) -> str | None:
    """The claim of a test of which nothing but pytest's name for it is known, as when a worker dies."""
    file, *names = nodeid.partition("[")[0].split("::")
    if not names:
        return None
    for candidate in (root / file, Path(file), TESTS / Path(file).name):
        if claims := cited_by(candidate, names[-1]):
            return claims[0] if len(claims) == 1 else None
    return None


def _claim_of(item: pytest.Item, strict: bool) -> Claim | None:
    markers = list(item.iter_markers(MARKER))
    if not markers:
        return None
    ids = [argument for marker in markers for argument in marker.args]
    claim = load().get(str(ids[0])) if len(ids) == 1 else None
    if claim is None and strict:
        raise pytest.UsageError(
            f"{item.nodeid} has to cite one claim that exists, for instance "
            f"@pytest.mark.claim('user/address'), and cites {', '.join(map(repr, ids)) or 'none'}"
        )
    return claim


def _name_for_people(item: pytest.Item) -> str:
    """What pytest takes after --pyargs for tests of a package, for instance `package.module::test_it[1]`."""
    module = getattr(item, "module", None)
    _, separator, name = item.nodeid.partition("::")
    return f"{module.__name__}::{name}" if module and separator else item.nodeid
