"""What a newcomer gets wrong, command by command: one line that names what it is, and exit code 2."""

import subprocess
import sys
from pathlib import Path

import pytest

from meta_tests.isolation.runs import hand_over
from meta_tests.user_accounts import CHECKOUT, Account, accounts
from qemunet_tests.__main__ import exit_code


def refused(words: str, capfd: pytest.CaptureFixture[str]) -> str:
    assert exit_code(words.split()) == 2
    out, err = capfd.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    return err.removeprefix("qemunet: ").rstrip()


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ("run --known /etc", "--known: '/etc' is a folder, and no file"),
        ("run --target host --expect /etc", "--expect: '/etc' is a folder, and no file"),
        ("run --qemu /etc", "--qemu: '/etc' is a folder, and no program"),
        ("record --qemu /etc", "--qemu: '/etc' is a folder, and no program"),
        ("record --out /etc", "--out /etc: that is a folder; name a file in it"),
        ("record --out /proc/x/y", "--out: cannot write into '/proc/x': No such file or directory"),
        ("record --plots /etc/passwd", "--plots: cannot write into '/etc/passwd': Not a directory"),
        ("shell user bridge", "a guest has one mode, not user and bridge: leave one out"),
        ("claims --jso", "unrecognized arguments: --jso (see `qemunet claims --help`)"),
        ("doctor --dee", "unrecognized arguments: --dee (see `qemunet doctor --help`)"),
        ("image remove --temp", "unrecognized arguments: --temp (see `qemunet image remove --help`)"),
    ],
)
def test_what_is_wrong_is_what_is_named(words: str, complaint: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert refused(words, capfd) == complaint


def test_a_host_without_that_bridge_says_which_it_has(capfd: pytest.CaptureFixture[str]) -> None:
    found = refused("run --target host --bridge br77", capfd)
    has = ", ".join(sorted(each.parent.name for each in Path("/sys/class/net").glob("*/bridge")))
    assert found.removeprefix("--bridge: this host has no bridge 'br77'; ") == (
        f"it has {has}" if has else "`qemunet doctor --mode bridge` says how one is made"
    )


def test_a_text_is_no_image(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    text = tmp_path / "text"
    text.write_text("Dear Sir or Madam,\n" * 100)
    assert refused(f"image import {text}", capfd).endswith("no exported guest image: Unrecognized archive format")


@pytest.mark.parametrize("account", [each for each in accounts() if each.id != "as-root"])
def test_an_image_that_may_not_be_read(account: Account, open_folder: Path) -> None:
    closed, cache = open_folder / "closed", open_folder / "cache"
    closed.touch(mode=0)
    cache.mkdir()
    hand_over(cache, account)
    done = subprocess.run(
        [*account.prefix, sys.executable, "-m", "qemunet_tests", "image", "import", str(closed)], cwd=CHECKOUT,
        env={**account.environment, "QEMUNET_CACHE": str(cache)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"qemunet: {closed} cannot be read by this user\n"
