"""Whoever asks a program that writes a page of docs for help gets that, and no page."""

import subprocess
import sys
from pathlib import Path

import pytest

from meta_tests.qemunet_command import clean_environment
from meta_tests.user_accounts import CHECKOUT

MODULES = ("deviations", "references.claims_page", "references.options_page", "references.manual_page")


@pytest.mark.parametrize("module", MODULES)
def test_help_and_mistakes_write_nothing(module: str, tmp_path: Path) -> None:
    before = {page: page.stat().st_mtime_ns for page in (CHECKOUT / "docs").iterdir()}
    for words, code in ((["--help"], 0), (["--bogus"], 2), ([str(tmp_path / "absent" / "page.md")], 2)):
        done = subprocess.run(
            [sys.executable, "-m", f"meta_tests.{module}", *words],
            cwd=tmp_path, env={**clean_environment(), "PYTHONPATH": str(CHECKOUT)}, capture_output=True, text=True,
            check=False,
        )  # fmt: skip
        assert done.returncode == code, done.stderr
        assert "usage:" in done.stdout + done.stderr
        assert "Traceback" not in done.stderr
    assert not list(tmp_path.iterdir())
    assert before == {page: page.stat().st_mtime_ns for page in (CHECKOUT / "docs").iterdir()}
