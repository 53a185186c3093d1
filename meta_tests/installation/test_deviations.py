"""docs/deviations.md is what the tables say, and the scripts it names show what they are to show."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from meta_tests import deviations
from meta_tests.patience import limit

ALL = {deviations.script_of(claim, name): (claim.id, name) for claim, name, _ in deviations.all_deviations()}
WRITTEN = sorted(deviations.SCRIPTS.glob("*.sh"))


def test_the_page_is_what_the_tables_say() -> None:
    assert deviations.PAGE.read_text() == deviations.page(), (
        "write docs/deviations.md anew: ./bootstrap python -m meta_tests.deviations"
    )


def test_the_page_names_every_deviation_once() -> None:
    heads = [line for line in deviations.PAGE.read_text().splitlines() if line.startswith("## ")]
    assert heads == [f"## {claim}: {name}" for claim, name in ALL.values()]


def test_every_script_is_about_a_deviation_and_can_be_executed() -> None:
    assert WRITTEN, "no script shows any deviation"
    assert [script.name for script in WRITTEN if script not in ALL] == []
    assert [script.name for script in WRITTEN if not os.access(script, os.X_OK)] == []


@pytest.mark.skipif(not shutil.which("qemu-system-x86_64"), reason="there is no QEMU")
@pytest.mark.parametrize("script", WRITTEN, ids=lambda script: script.stem)
def test_a_script_shows_its_deviation(script: Path) -> None:
    ended = subprocess.run([script], capture_output=True, text=True, timeout=limit(60), check=False)
    last = (ended.stdout.splitlines() or [""])[-1]
    assert (ended.returncode, last.partition(":")[0]) == (0, "deviates"), ended.stdout + ended.stderr
