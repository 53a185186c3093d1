"""What takes long besides tests is told at once, from whichever process it happens in."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from meta_tests.patience import limit
from meta_tests.user_accounts import CHECKOUT

TEST = """
import pytest
from qemunet_tests import plugin

@pytest.mark.claim("user/address")
def test_it(request): plugin.tell(request.config, "making a template for guests with e1000")
"""
CONDUCT = """
import sys
from qemunet_tests.commands.pytest_session import conduct
from qemunet_tests.commands.terminal import own_screens
with own_screens() as screens:
    sys.exit(conduct(screens, sys.argv[1:], workers=2))
"""


def outcome(folder: Path, program: list[str], *words: str) -> subprocess.CompletedProcess[str]:
    (folder / "test_it.py").write_text(TEST)
    command = [sys.executable, *program, str(folder), "-p", "no:cacheprovider", "--qemunet-target", "host", *words]
    return subprocess.run(
        command, cwd=CHECKOUT, capture_output=True, text=True, timeout=limit(60), check=False,
        env={**os.environ, "QEMUNET_CACHE": str(folder / "cache")},
    )  # fmt: skip


@pytest.mark.parametrize("words", [(), ("-n", "2")], ids=["alone", "with-workers"])
def test_a_run_tells_it_while_it_happens(tmp_path: Path, words: tuple[str, ...]) -> None:
    done = outcome(tmp_path, ["-c", CONDUCT], *words)
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stderr.splitlines()
    ended = next(number for number, line in enumerate(lines) if "user/address  holds" in line)
    assert "making a template for guests with e1000" in lines[:ended]


@pytest.mark.parametrize("words", [(), ("-n", "2")], ids=["alone", "with-workers"])
def test_a_session_of_pytest_says_nothing_of_it(tmp_path: Path, words: tuple[str, ...]) -> None:
    done = outcome(tmp_path, ["-m", "pytest"], *words)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "making a template" not in done.stdout
