"""What is kept of a failed test: a folder that the report card names."""

import re
import shutil
from pathlib import Path

import pytest

from qemunet_tests.harness.bench import Bench
from qemunet_tests.harness.cache import cache_root
from qemunet_tests.report.finding import ARTIFACT
from qemunet_tests.report.place import ARTIFACTS


def keep(item: pytest.Item, bench: Bench, report: Path | None) -> str | None:
    """Copy the living guests' folders into the report's, or without one to the cache, and note where they are.

    Returns why that failed, or None: a full disk is no reason to learn nothing.
    """
    shelf = report / ARTIFACTS if report else cache_root() / "failures"
    folder = shelf / re.sub(r"[^\w.-]+", "-", item.name)
    shutil.rmtree(folder, ignore_errors=True)
    try:
        saved = bench.save_evidence(folder)
    except OSError as refused:
        shutil.rmtree(folder, ignore_errors=True)
        return f"artifacts could not be kept in {shelf}: {_reason(refused)}"
    item.user_properties.extend((ARTIFACT, str(each)) for each in saved)
    return None


def _reason(refused: OSError) -> str:
    """What shutil gathers while it copies a folder has no reason of its own, only the sentences about its files."""
    if isinstance(refused, shutil.Error):
        *_, first = refused.args[0][0]
        return re.sub(r"^\[Errno \d+\] |: '.*$", "", str(first))
    return refused.strerror or str(refused)
