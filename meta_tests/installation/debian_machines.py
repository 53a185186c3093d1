"""Second Debians as machines, for the tests of them: the command, and one that is unpacked."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from meta_tests.isolation.leftovers import FOLDER_PREFIX
from meta_tests.user_accounts import CHECKOUT
from meta_tests.userland.suites import SUITES
from meta_tests.userland.unpacking import MARKER, REUSED_SECONDS, shelf

USERLAND = [sys.executable, "-m", "meta_tests.userland"]
#: Unpacking one takes a minute, and five where ten others are busy.
UNPACK_SECONDS, START_SECONDS = 900.0, 120.0
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a machine of a userland")


def userland(*words: str, become: tuple[str, ...] = (), **environment: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [*become, *USERLAND, *words],
        cwd=CHECKOUT,
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=UNPACK_SECONDS,
        check=False,
    )


@pytest.fixture(scope="session")
def suite() -> str:
    """One that is unpacked; the newest stable one's backports where none is."""
    for name in SUITES:
        marker = shelf() / name / MARKER
        if marker.exists() and time.time() - marker.stat().st_mtime < REUSED_SECONDS - 3600:
            return name
    name = "trixie-backports"
    assert userland(name, "--", "true").returncode == 0
    return name


@pytest.fixture
def folder() -> Iterator[Path]:
    """An empty folder that stands alone below a machine's /tmp."""
    with tempfile.TemporaryDirectory(prefix=FOLDER_PREFIX) as made:
        yield Path(made)


@pytest.fixture
def cache(folder: Path) -> Path:
    """An empty cache, root's alone."""
    return folder
