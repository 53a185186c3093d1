"""What is kept of a failed test: a folder that the report card names."""

import re
import shutil
from pathlib import Path

import pytest

from qemunet_tests.harness.bench import Bench
from qemunet_tests.harness.cache import cache_root
from qemunet_tests.report.finding import ARTIFACT


def keep(item: pytest.Item, bench: Bench, report: Path | None) -> None:
    """Copy the living guests' folders into the report's, or without one to the cache, and note where they are."""
    shelf = report / "artifacts" if report else cache_root() / "failures"
    folder = shelf / re.sub(r"[^\w.-]+", "-", item.name)
    shutil.rmtree(folder, ignore_errors=True)
    for saved in bench.save_evidence(folder):
        item.user_properties.append((ARTIFACT, str(saved)))
