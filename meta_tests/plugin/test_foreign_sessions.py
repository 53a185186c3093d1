"""Sessions of other projects, which have qemunet installed and did not ask for it."""

import subprocess
import sys
from pathlib import Path

from meta_tests.patience import limit
from meta_tests.qemunet_command import clean_environment
from meta_tests.user_accounts import CHECKOUT
from qemunet_tests.plugin.shipped_fixtures import names

THEIRS = """
import pytest

@pytest.fixture
def claim():
    return "an insurance claim"
"""
THEIR_TESTS = """
import pytest

def test_first(claim):
    assert claim == "an insurance claim"

@pytest.mark.claim("fire")
def test_second(claim):
    assert claim == "an insurance claim"

@pytest.mark.lengthy
def test_third():
    pass
"""


def session(folder: Path, tests: str, *words: str) -> str:
    (folder / "test_theirs.py").write_text(tests)
    (folder / "their_plugin.py").write_text(THEIRS)
    (folder / "pytest.ini").write_text("[pytest]\n")
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "qemunet_tests.plugin", *words]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=limit(60), cwd=folder,
        env={**clean_environment(), "PYTHONPATH": f"{CHECKOUT}:{folder}"},
    )  # fmt: skip
    return done.stdout + done.stderr


def test_their_fixture_claim_is_theirs_whichever_plugin_comes_first(tmp_path: Path) -> None:
    """Ours is the last one loaded, and so the first one found."""
    assert "3 passed" in session(tmp_path, THEIR_TESTS, "-p", "their_plugin")


def test_their_marker_is_theirs_in_a_session_that_asked_as_well(tmp_path: Path) -> None:
    asked = session(tmp_path, THEIR_TESTS, "-p", "their_plugin", "--qemunet-target=host")
    assert "3 passed" in asked, asked


def test_their_markers_change_no_order(tmp_path: Path) -> None:
    shown = session(tmp_path, THEIR_TESTS, "-p", "their_plugin", "-v")
    places = [shown.index(name) for name in ("test_first PASSED", "test_second PASSED", "test_third PASSED")]
    assert places == sorted(places)


def test_who_forgot_the_target_is_told(tmp_path: Path) -> None:
    asks = "def test_it(user_guest): pass\ndef test_other(nobodys): pass\n"
    shown = session(tmp_path, asks)
    assert "user_guest: this fixture is qemunet's, and the session did not ask for it" in shown
    assert "pytest --qemunet-target=lab" in shown
    assert "fixture 'nobodys' not found" in shown


def test_the_fixtures_are_known_by_their_names() -> None:
    assert {"user_guest", "bridge_guest", "leased_guest", "lab", "bench", "attach_user_peer"} <= names()
