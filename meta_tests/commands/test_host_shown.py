"""`python -m meta_tests.host_shown`, by root and by an ordinary user with the PATH that Debian gives him."""

import re
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from meta_tests.isolation.runs import account, by_everybody, hand_over, home  # noqa: F401  # fixtures
from meta_tests.patience import limit
from meta_tests.user_accounts import CHECKOUT, Account, accounts

SHOWN = (sys.executable, "-m", "meta_tests.host_shown")


def shown(account: Account, *words: str, **environment: str) -> "subprocess.CompletedProcess[str]":  # noqa: F811
    return subprocess.run(
        [*account.prefix, *SHOWN, *words],
        cwd=CHECKOUT, env={**account.environment, **environment}, capture_output=True, text=True, check=False,
        timeout=limit(200),
    )  # fmt: skip


@pytest.mark.parametrize("who", accounts())
def test_help_and_mistakes_make_no_host(who: Account) -> None:
    helped = shown(who, "--help")
    assert (helped.returncode, helped.stderr) == (0, "")
    assert "[-h] [--list] [--report DIR] [FAULT]" in helped.stdout
    wrong = shown(who, "weather")
    assert (wrong.returncode, wrong.stderr) == (2, "there is no fault 'weather': see --list\n")


@by_everybody
def test_what_is_named_is_there_and_nothing_else_is_left(account: Account, home: Path) -> None:  # noqa: F811
    temporary = Path(tempfile.mkdtemp(dir=home))
    # On root's machine it is nobody who runs qemunet.
    temporary.chmod(0o755)
    (temporary / "tmp").mkdir()
    hand_over(temporary, account)
    environment = {"QEMUNET_CACHE": str(home / "cache"), "TMPDIR": str(temporary / "tmp")}
    ended = shown(account, "helper-missing", "--report", str(temporary / "report"), **environment)
    assert ended.returncode == 1, ended.stdout + ended.stderr
    named = [Path(path) for path in re.findall(r"(?:written:|artifact) +(/\S+)", ended.stdout)]
    assert temporary / "report" / "results.json" in named
    assert all(path.exists() for path in named), named
    assert not list((temporary / "tmp").iterdir())


@by_everybody
def test_a_host_that_cannot_be_made_leaves_nothing_and_is_one_line(account: Account, home: Path) -> None:  # noqa: F811
    temporary = Path(tempfile.mkdtemp(dir=home))
    hand_over(temporary, account)
    programs = temporary / "programs"
    programs.mkdir()
    (programs / "nsenter").write_text("#!/bin/sh\nexit 1\n")
    for made in (programs, programs / "nsenter"):
        made.chmod(0o755)
    (temporary / "tmp").mkdir()
    (temporary / "tmp").chmod(0o777)
    path = f"{programs}:{account.environment['PATH']}"
    ended = shown(account, QEMUNET_CACHE=str(home / "cache"), TMPDIR=str(temporary / "tmp"), PATH=path)
    assert (ended.returncode, ended.stderr.count("\n")) == (3, 1), ended.stderr
    assert not list((temporary / "tmp").iterdir())
