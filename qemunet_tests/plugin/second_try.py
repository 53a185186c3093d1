"""A claim that breaks, and nothing says why, is tried a second time at once: only what breaks twice is broken.

What happens once in thousands of tests, on a machine that was slow for a second, is no word about QEMU; nor is it
nothing, so that a claim that breaks once only is inconclusive. Where the cause was found and its remedy is known, that
is the evidence, and nothing is tried again.
"""

import pytest

from qemunet_tests.errors import HarnessError
from qemunet_tests.plugin import pytest_internals, session_state
from qemunet_tests.plugin.claim_marker import RECORD

#: Where so many broke twice in one process, something is broken indeed, and the rest is believed at once.
ENOUGH = 3
_confirmed = pytest.StashKey[int]()


def tried(item: pytest.Item, next_item: pytest.Item | None) -> list[pytest.TestReport]:
    """Run a test that cites a claim, twice where it needs that: the reports that count."""
    config = item.config

    def again() -> bool:
        return item.stash[RECORD].needs_second_try and config.stash.get(_confirmed, 0) < ENOUGH

    reports = pytest_internals.phases(item, again, next_item)
    if not again():
        return reports
    item.stash[RECORD] = item.stash[RECORD].second_try()
    reports = pytest_internals.phases(item, lambda: False, next_item)
    if item.stash[RECORD].broke:
        config.stash[_confirmed] = config.stash.get(_confirmed, 0) + 1
    return reports


def possible(config: pytest.Config) -> bool:
    """Not where somebody looks at what failed while it lives."""
    return not (session_state.pauses(config) or pytest_internals.asks_somebody(config))


def compare(item: pytest.Item) -> None:
    """What passes after it broke is told as neither. Raises HarnessError for it."""
    record = item.stash.get(RECORD, None)
    if record and record.broke_before:
        raise HarnessError(record.once_only("not when it was tried again at once"))
