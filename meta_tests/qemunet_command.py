"""`qemunet run` on tests of our own, and the command as a user types it."""

import os
import subprocess
import sys
from pathlib import Path

from meta_tests.patience import limit

#: Runs tests of our own where `qemunet run` would run the conformance tests, outside the lab. What they took is kept
#: beside them, and not among the seconds of the user's own runs.
CONDUCT = """
import sys
from pathlib import Path
from types import SimpleNamespace
from qemunet_tests.__main__ import exit_code
from qemunet_tests.commands import pytest_session
from qemunet_tests.report import time_left

here, *words = sys.argv[1:]
own = Path(here, ".cache")
own.mkdir(exist_ok=True)
time_left.cache = SimpleNamespace(cache_root=lambda: own, make=lambda: own)
target = "host"
plain = pytest_session.conduct

def conduct(screens, arguments, workers, settings, image_seconds, telling):
    left = [word for word in arguments if word not in ("--pyargs", "qemunet_tests.conformance")]
    ours = [f"--rootdir={here}", f"--confcutdir={here}", f"--qemunet-target={target}", here]
    settings = settings.model_copy(update={"target": target})
    return plain(screens, [*left, *ours], workers, settings, image_seconds, telling)

pytest_session.conduct = conduct
import qemunet_tests.commands.build_progress as preparing
preparing.prepare_run = lambda console, settings: 0.0
sys.exit(exit_code(["run", *words]))
"""
GOOD = """
import pytest
@pytest.mark.claim("user/address")
def test_address(claim): assert claim.sees("10.0.2.15/24") == claim.expected
@pytest.mark.claim("user/gateway")
def test_gateway(): print("chatter"); import sys; print("more", file=sys.stderr)
"""
BROKEN = GOOD + "\n@pytest.mark.claim('user/e1000')\ndef test_e1000(): assert 0, 'no lease'\n"


def qemunet(*words: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """The command as a user types it."""
    return subprocess.run(
        [sys.executable, "-m", "qemunet_tests", *words],
        capture_output=True, text=True, check=False, timeout=limit(60), cwd=cwd, env=clean_environment(),
    )  # fmt: skip


def clean_environment() -> dict[str, str]:
    inherited = ("PYTEST_XDIST_WORKER", "QEMUNET_CONTROLLER", "PYTEST_ADDOPTS", "COLUMNS", "FORCE_COLOR")
    return {name: value for name, value in os.environ.items() if name not in inherited}


def conduct(folder: Path, tests: str, *words: str, before: str = "") -> subprocess.CompletedProcess[str]:
    """`qemunet run` on tests of our own; `before` is Python that comes first."""
    (folder / "test_it.py").write_text(tests)
    return subprocess.run(
        [sys.executable, "-c", before + CONDUCT, str(folder), *words],
        capture_output=True, text=True, check=False, timeout=limit(60), cwd=folder, env=clean_environment(),
    )  # fmt: skip
