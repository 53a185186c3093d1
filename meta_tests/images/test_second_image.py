"""A second image, built for real: its programs have other names, by its recipe alone, and claims are tried on it."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from meta_tests.patience import limit
from meta_tests.qemunet_command import clean_environment
from qemunet_tests import images
from qemunet_tests.images import recipes

#: Programs of the first image, and what they are called in the second.
RENAMED = {"socat": "relay", "ping": "echo-request", "traceroute": "hops"}
#: They are told to ping, to trace a way, to send by TCP and UDP, and to serve.
CLAIMS = ("user/address", "user/icmp-gateway", "user/traceroute", "user/reach-lan-udp", "bridge/reachable-tcp")


@pytest.fixture
def second(open_folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of an image of which there is a recipe, and no other recipe is there."""
    shelf = open_folder / "recipes"
    shutil.copytree(recipes.SHELF, shelf)
    (shelf / "tiny").rename(shelf / "second")
    said, programs = (shelf / "second/recipe.toml").read_text().split("[programs]\n")
    for name, other in RENAMED.items():
        said = re.sub(rf'(?<== "){name}(?= )', other, said)
        programs = programs.replace(f"{name} = [", f"{other} = [")
    (shelf / "second/recipe.toml").write_text(f"{said}[programs]\n{programs}")
    monkeypatch.setattr(recipes, "SHELF", shelf)
    monkeypatch.setenv("QEMUNET_CACHE", str(open_folder / "cache"))
    return "second"


@pytest.mark.slow
def test_claims_hold_on_an_image_whose_programs_have_other_names(second: str, open_folder: Path) -> None:
    built = images.ensure(second)
    assert set(RENAMED.values()) <= set(images.recipe(second).programs)
    words = ["run", "-n", "1", "--image", second, "--report", str(open_folder / "report"), *CLAIMS]
    ended = subprocess.run(
        [sys.executable, "-m", "qemunet_tests", *words],
        capture_output=True, text=True, check=False, timeout=limit(400), env=clean_environment(),
    )  # fmt: skip
    assert ended.returncode == 0, ended.stdout + ended.stderr
    document = json.loads((open_folder / "report/results.json").read_text())
    assert document["image"] == {"name": second, "digest": built.digest}
    assert {each["claim"]: each["verdict"] for each in document["verdicts"]} == dict.fromkeys(CLAIMS, "holds")
