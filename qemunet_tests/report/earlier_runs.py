"""What earlier runs could try here: a claim that was tried yesterday and is `unavailable` today is news.

An exit code of 0 does not tell it, because nothing is broken. Kept in tried.json of this user's own cache, and believed
only where nobody else can have written it.
"""

import json
import os
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from qemunet_tests import cache, trust
from qemunet_tests.isolation.folder import opened
from qemunet_tests.report.verdict_of_test import Verdict

if TYPE_CHECKING:
    from qemunet_tests.report.shapes import Results

FILE = "tried.json"
SCHEMA = 1
#: What has not been tried for so long is missed by nobody.
KEPT_DAYS = 30
_MOST_BYTES = 1 << 20

#: By QEMU, host and target: the day on which each claim was last tried.
Tried = dict[str, dict[str, str]]


def missed(results: "Results") -> list[str]:
    """The sentences to end with, and keep in mind what was tried this time."""
    place = _place(results)
    if place is None:
        return []
    everything = _recall()
    before = everything.get(place, {})
    now = {each.claim: each.verdict for each in results.verdicts}
    gone = [claim for claim, verdict in now.items() if verdict is Verdict.UNAVAILABLE and claim in before]
    today = datetime.now(UTC).date().isoformat()
    tried = {claim: today for claim, verdict in now.items() if verdict is not Verdict.UNAVAILABLE}
    _keep({**everything, place: {**before, **tried}})
    if not gone:
        return []
    named = ", ".join(f"{claim} ({before[claim]})" for claim in gone)
    count = "1 claim that was" if len(gone) == 1 else f"{len(gone)} claims that were"
    return [f"UNAVAILABLE NOW: {count} tried before with this QEMU on this host, last on the day given: {named}"]


def _place(results: "Results") -> str | None:
    """What makes two runs comparable; None where no QEMU was asked."""
    if not results.qemu.version:
        return None
    extras = results.host.model_extra or {}
    host = extras.get("id") or os.uname().nodename
    return " ".join([str(results.qemu.path), results.qemu.version, str(host), results.target])


def _recall() -> Tried:
    try:
        with trust.opened(cache.cache_root() / FILE) as stream:
            said = json.loads(stream.read(_MOST_BYTES))
        if said["schema"] != SCHEMA:
            return {}
        oldest = datetime.now(UTC).date() - timedelta(days=KEPT_DAYS)
        return {str(place): _recent(claims, oldest) for place, claims in said["tried"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return {}


def _recent(claims: Any, oldest: date) -> dict[str, str]:
    return {str(claim): str(day) for claim, day in claims.items() if date.fromisoformat(day) >= oldest}


def _keep(tried: Tried) -> None:
    """Without a place for it the next run has nothing to compare with, which is no reason to fail."""
    document = {"schema": SCHEMA, "tried": {place: claims for place, claims in tried.items() if claims}}
    try:
        with opened(cache.make()) as folder:
            folder.write_whole(FILE, json.dumps(document, indent=1).encode())
    except OSError:
        return
