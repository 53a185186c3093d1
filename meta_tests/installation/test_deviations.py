"""docs/deviations.md is what the tables say, and the scripts it names show what they are to show."""

import functools
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from meta_tests import deviations
from meta_tests.patience import limit
from qemunet_tests.claims import Installed, load
from qemunet_tests.installed import asked_once
from qemunet_tests.settings import Settings

SHOWN = {
    deviations.script_of(claim, name): (claim.id, name)
    for claim, name, known in deviations.all_deviations()
    if not known.seldom
}
WRITTEN = sorted(deviations.SCRIPTS.glob("*.sh"))


def test_the_page_is_what_the_tables_say() -> None:
    assert deviations.PAGE.read_text() == deviations.page(), (
        "write docs/deviations.md anew: ./bootstrap python -m meta_tests.deviations"
    )


def test_the_page_names_every_deviation_once() -> None:
    heads = [line for line in deviations.PAGE.read_text().splitlines() if line.startswith("## ")]
    assert heads == [f"## {claim.id}: {name}" for claim, name, _ in deviations.all_deviations()]


def test_every_script_is_about_a_deviation_and_can_be_executed() -> None:
    assert WRITTEN, "no script shows any deviation"
    assert [script.name for script in WRITTEN if script not in SHOWN] == []
    assert [script.name for script in WRITTEN if not os.access(script, os.X_OK)] == []


def test_every_deviation_that_comes_always_is_shown_by_a_script() -> None:
    assert [script.name for script in SHOWN if script not in WRITTEN] == []


#: One of each kind of script; the others are slow only because they are many.
QUICK = {
    "user-dhcp-other-server-answered", "user-guestfwd-gateway-refused", "user-icmp-ttl-goes-on",
    "user-ip6-boot-url-empty-null", "user-tcp-reset-guests-reset-is-an-end", "user-tftp-symlink-followed",
}  # fmt: skip


@pytest.mark.skipif(not shutil.which("qemu-system-x86_64"), reason="there is no QEMU")
@pytest.mark.parametrize(
    "script",
    [pytest.param(script, marks=[] if script.stem in QUICK else pytest.mark.slow, id=script.stem) for script in SHOWN],
)
def test_a_script_shows_its_deviation_and_leaves_nothing(script: Path, tmp_path: Path) -> None:
    claim, name = SHOWN[script]
    if outside := load()[claim].bounds.outside(installed()):
        pytest.skip(f"this is promised {outside.reason}")
    ended = subprocess.run(
        [script], capture_output=True, text=True, timeout=limit(60), check=False,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    )  # fmt: skip
    last = (ended.stdout.splitlines() or [""])[-1]
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert last.partition(":")[0] in expected(claim, name), ended.stdout + ended.stderr
    assert list(tmp_path.iterdir()) == []


def expected(claim: str, name: str) -> set[str]:
    """What the script may say with this QEMU. Of several deviations of one claim only one need be seen."""
    known = {each for each, said in load()[claim].deviations.items() if not said.bounds.outside(installed())}
    if name not in known:
        return {"kept"}
    return {"deviates"} if known == {name} else {"deviates", "kept"}


@functools.cache
def installed() -> Installed:
    return asked_once(Settings)
