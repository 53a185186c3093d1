"""An uninstalled build tree works as it stands: its own firmware, its own helper, and the list that this one reads."""

import json
import os
import re
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from meta_tests.patience import limit
from meta_tests.qemu.built_tree import OTHER_LIST, lay_out, lay_out_moved
from meta_tests.qemunet_command import clean_environment
from meta_tests.user_accounts import CHECKOUT, Account, accounts
from qemunet_tests.host import acl
from qemunet_tests.isolation.identity import unprivileged
from qemunet_tests.observe.bridge import plain_paths
from qemunet_tests.qemu import qemu_facts


def with_its_own_list() -> None:
    helper = Path(qemu_facts.find().helper_path or "/nonexistent")
    if not helper.exists() or acl.path_read_by(str(helper)) != acl.DEFAULT_PATH:
        pytest.skip("there is no helper that reads the usual list")


@pytest.fixture
def built(request: pytest.FixtureRequest) -> Iterator[Path]:
    """A tree of root's, or of whoever runs the tests: its QEMU."""
    with_its_own_list()
    with tempfile.TemporaryDirectory(dir="/var/tmp", prefix="qemunet-") as folder:
        Path(folder).chmod(0o755)
        yield lay_out(Path(folder, "qemu"))


def test_all_that_it_uses_is_its_own(built: Path) -> None:
    found = qemu_facts.find(str(built))
    bundle = built.parent / "qemu-bundle"
    assert found.helper_path
    assert Path(found.helper_path).resolve() == built.parent / "qemu-bridge-helper"
    assert found.access_list == f"{bundle}{OTHER_LIST}"
    assert found.data_folders
    assert all(folder.is_relative_to(bundle) for folder in found.data_folders)
    # It says so itself where it is started: with none in the tree it has no BIOS.
    words = [*unprivileged().prefix(), built, "-M", "pc", "-nodefaults", "-display", "none", "-S", "-daemonize"]
    for file in [*bundle.rglob("bios*.bin"), *bundle.rglob("bios")]:
        file.unlink()
    done = subprocess.run(words, cwd="/", capture_output=True, text=True, check=False, timeout=60)
    assert "could not load PC BIOS" in done.stderr


def list_read(helper: Path) -> Path:
    """What a helper itself says that it reads, where that is not there."""
    done = subprocess.run([helper, "--br=br0", "--fd=0"], capture_output=True, text=True, check=False, timeout=60)
    found = re.search("failed to parse default acl file `(.*)'", done.stderr)
    assert found, done.stderr
    # Without links on the way the words that a claim compares are those.
    assert str(Path(found[1]).resolve()) in plain_paths(found[0])
    return Path(found[1]).resolve()


@pytest.mark.parametrize(("configured", "place"), [("/srv", "libexec"), ("/usr", "libexec"), ("/usr", "lib/qemu")])
def test_the_list_is_where_the_helper_says(built: Path, configured: str, place: str) -> None:
    """One in a tree, and one that was moved: what was configured below its prefix goes with it.

    Unless it was built to stay, as Debian's are since 10.
    """
    helper = built.parent / "qemu-bridge-helper"
    assert Path(acl.path_read_by(str(helper))) == list_read(helper)
    moved = built.parents[1] / "prefix" / place / "helper"
    moved.parent.mkdir(parents=True)
    moved.write_bytes(helper.read_bytes().replace(OTHER_LIST.encode(), f"{configured}/qemu/bridge.conf".encode()))
    moved.chmod(0o755)
    assert Path(acl.path_read_by(str(moved))) == list_read(moved)
    assert (
        acl.path_read_by(str(moved), runs_at=str(helper)) == f"{helper.parent}/qemu-bundle{configured}/qemu/bridge.conf"
    )


@pytest.fixture
def moved(open_folder: Path) -> Path:
    """The QEMU of an installation that was moved whole."""
    with_its_own_list()
    qemu = lay_out_moved(open_folder)
    helper = qemu_facts.find(str(qemu)).helper_path
    if helper is None or not Path(helper).is_relative_to(open_folder):
        pytest.skip("this QEMU was built to stay")
    return qemu


def run_with(qemu: Path, report: Path, account: Account, *claims: str) -> dict[str, dict[str, Any]]:
    """The verdicts of a run, by claim."""
    words = ["qemunet", "run", *claims, "--accel", "tcg", "--qemu", str(qemu), "-n", "1", "--report", str(report)]
    os.chown(report.parent, account.uid, -1)
    done = subprocess.run(
        [*account.prefix, str(CHECKOUT / "bootstrap"), *words], cwd="/",
        env={**clean_environment(), **account.environment}, capture_output=True, text=True, check=False,
        timeout=limit(600),
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "did not clean up" not in done.stdout
    return {each["claim"]: each for each in json.loads((report / "results.json").read_text())["verdicts"]}


def test_one_that_was_moved_names_its_list_without_steps_up(moved: Path, open_folder: Path) -> None:
    said = run_with(moved, open_folder / "out", accounts()[0].values[0], "bridge/acl-missing", "bridge/helper-found")
    assert said["bridge/acl-missing"]["verdict"] == "holds"
    assert str(open_folder / "prefix/lib/acls/bridge.conf") in said["bridge/acl-missing"]["observed"]
    assert said["bridge/helper-found"]["observed"].startswith(f"{open_folder}/prefix/")


def test_without_a_place_for_its_list_nothing_is_left(moved: Path, open_folder: Path) -> None:
    (open_folder / "prefix/lib/acls").rmdir()
    said = run_with(moved, open_folder / "out", accounts()[0].values[0], "bridge/lease-address", "user/gateway")
    assert said["bridge/lease-address"]["verdict"] == "unavailable"
    assert said["bridge/lease-address"]["remedy"].endswith("/prefix/lib/acls")


@pytest.mark.slow
@pytest.mark.parametrize("account", accounts())
def test_a_run_holds_with_it(built: Path, account: Account, open_folder: Path) -> None:
    """Nothing of it is installed, the machine has no folder for its list, and nobody makes one."""
    before = {str(path) for path in built.parent.rglob("*")}
    claims = ("bridge/helper-found", "bridge/acl-*", "bridge/setuid-*", "bridge/lease-address", "user/address")
    said = run_with(built, open_folder / "out", account, *claims)
    assert len(said) >= 10
    assert said["bridge/helper-found"]["observed"].startswith(f"{built.parent}/qemu-bundle/")
    assert f"/qemu-bundle{OTHER_LIST}" in said["bridge/acl-missing"]["observed"]
    wrong = {claim: each["verdict"] for claim, each in said.items() if each["verdict"] != "holds"}
    # The bit can have no effect where a user namespace has nobody else.
    assert set(wrong) <= ({"bridge/setuid-works"} if account.uid else set()), wrong
    assert set(wrong.values()) <= {"unavailable"}
    assert {str(path) for path in built.parent.rglob("*")} == before
