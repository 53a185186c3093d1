"""What is kept of a failed test: a folder that the report card names."""

import re
from pathlib import Path

import pytest

from qemunet_tests.cache import cache_root
from qemunet_tests.guest.bench import Bench
from qemunet_tests.isolation.folder import Folder, opened
from qemunet_tests.plugin import workers
from qemunet_tests.plugin.claim_marker import RECORD
from qemunet_tests.report.report_folder import ARTIFACTS


def keep(item: pytest.Item, bench: Bench, report: Path | None) -> str | None:
    """Copy the living guests' folders into the report's, or without one to the cache, and note where they are.

    Returns why that failed, or None: a full disk, or memory that is used up, is no reason to learn nothing.
    """
    root, shelf = (report, ARTIFACTS) if report else (cache_root(), "failures")
    name = re.sub(r"[^\w.-]+", "-", item.name)
    if RECORD in item.stash and item.stash[RECORD].broke_before:
        # What was kept of the first try is evidence of its own.
        name += "-again"
    try:
        with opened(root, make=True) as place, place.sub(shelf) as kept:
            saved = _keep_in(kept, name, bench)
    except (OSError, MemoryError) as refused:
        why = refused.strerror if isinstance(refused, OSError) else "there is no memory for it"
        return f"artifacts could not be kept in {root / shelf}: {why}"
    workers.send_artifacts(item, saved)
    return None


def _keep_in(shelf: Folder, name: str, bench: Bench) -> list[Path]:
    """What is there of an earlier run goes; what cannot be copied whole is not kept in part.

    Raises OSError and MemoryError.
    """
    shelf.remove(name)
    try:
        with shelf.sub(name) as kept:
            return bench.save_evidence(kept)
    except (OSError, MemoryError):
        shelf.remove(name)
        raise
