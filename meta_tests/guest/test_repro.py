"""What is kept of a failed test boots its guest again and asks it the same, in a lab or without one."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from meta_tests.patience import limit
from meta_tests.qemunet_command import clean_environment

pytestmark = pytest.mark.slow

TESTS = """
def test_user(user_guest):
    user_guest.run("echo hello-$((40+2))")
    assert 0
def test_bridge(bridge_guest):
    bridge_guest.run("ping -c 1 192.168.1.254;\\necho over'-'there")
    assert 0
"""


@pytest.fixture(scope="module")
def kept() -> Iterator[Path]:
    """The artifacts of a session of somebody's own tests, in the lab."""
    with tempfile.TemporaryDirectory() as folder:
        here = Path(folder)
        (here / "test_mine.py").write_text(TESTS)
        words = ["--qemunet-target=lab", "--qemunet-report=out", "-p", "no:cacheprovider", str(here)]
        done = subprocess.run(
            [sys.executable, "-m", "pytest", *words], cwd=here, env=clean_environment(), check=False,
            capture_output=True, text=True, timeout=limit(300),
        )  # fmt: skip
        assert done.returncode == 1, done.stdout
        yield here / "out" / "artifacts"


def guest_of(kept: Path, test: str) -> Path:
    (folder,) = kept.glob(f"test_{test}-*/guest-*")
    return folder


def replayed(script: Path, **environment: str) -> tuple[int, str]:
    done = subprocess.run(
        [script], env=environment, stdin=subprocess.DEVNULL, check=False, timeout=limit(200),
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    return done.returncode, done.stdout


def without_qemunet(guest: Path, tmp_path: Path) -> Path:
    """A copy whose script finds no qemunet, as on another machine."""
    copy = tmp_path / "elsewhere"
    shutil.copytree(guest, copy)
    script = copy / "repro.sh"
    script.write_text(re.sub(r"(?m)^python=.*", "python=/nonexistent", script.read_text()))
    return script


def test_it_runs_with_sh_python_and_qemu_alone(kept: Path, tmp_path: Path) -> None:
    script = without_qemunet(guest_of(kept, "user"), tmp_path)
    status, said = replayed(script, PATH="/usr/bin:/bin", HOME="/nonexistent")
    assert status == 0, said
    assert said.startswith("repro.sh: qemunet is not here, so the guest has no lab around it\n")
    assert re.search(r"(?m)^hello-42\s*$", said), said


def test_another_folder_of_that_name_is_not_taken_for_its_own(kept: Path, tmp_path: Path) -> None:
    """Where CDPATH is exported, as some have it in their profile."""
    script = without_qemunet(guest_of(kept, "user"), tmp_path)
    (tmp_path / "first" / script.parent.name).mkdir(parents=True)
    # What is asked is where it looks, and not what boots there.
    script.write_text(re.sub("(?ms)^exec python3 .*", 'echo "in $here"', script.read_text()))
    said = subprocess.run(
        ["sh", f"{script.parent.name}/{script.name}"], cwd=tmp_path, check=False, timeout=limit(60),
        env={"PATH": "/usr/bin:/bin", "CDPATH": str(tmp_path / "first")}, capture_output=True, text=True,
    )  # fmt: skip
    assert f"\nin {script.parent}\n" in f"\n{said.stdout}", said


def test_it_says_when_its_image_is_gone(kept: Path, tmp_path: Path) -> None:
    script = without_qemunet(guest_of(kept, "user"), tmp_path)
    script.write_text(re.sub(r"/images/tiny-\w+", "/images/gone", script.read_text()))
    status, said = replayed(script, PATH="/usr/bin:/bin")
    assert (status, said.splitlines()[-1]) == (3, said.splitlines()[-1])
    assert "is gone: qemunet image build, or image import FILE" in said


def test_a_guest_of_the_labs_bridge_is_never_put_on_a_real_one(kept: Path, tmp_path: Path) -> None:
    status, said = replayed(without_qemunet(guest_of(kept, "bridge"), tmp_path), PATH="/usr/bin:/bin")
    assert status == 3
    assert said == "repro.sh: this guest belongs on the bridge of a lab, which only qemunet can make: install it\n"


def test_it_boots_in_a_lab_of_its_own(kept: Path) -> None:
    script = guest_of(kept, "bridge") / "repro.sh"
    status, said = replayed(script, **clean_environment())
    assert status == 0, said
    assert "1 packets transmitted, 1 received" in said
    assert re.search(r"(?m)^over-there\s*$", said), said


def test_the_script_says_what_it_does(kept: Path) -> None:
    script = guest_of(kept, "user") / "repro.sh"
    assert os.access(script, os.X_OK)
    assert script.read_text().splitlines()[1:3] == [
        f"# Boots {script.parent.name} again, in a lab of its own, and types what it was asked last:",
        "#   echo hello-$((40+2))",
    ]


def test_the_console_of_a_thawed_guest_begins_with_its_templates(kept: Path) -> None:
    assert (guest_of(kept, "user") / "console.log").read_bytes().strip()
