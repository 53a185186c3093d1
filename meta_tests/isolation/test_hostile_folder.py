"""Whoever runs us in a folder that others may write executes nothing of what they put there."""

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from meta_tests.isolation.hostile import FIRMWARE, USER_SITE, HostileFolder
from meta_tests.qemunet_command import clean_environment
from meta_tests.user_accounts import CHECKOUT
from qemunet_tests.host.search_path import search_path
from qemunet_tests.isolation import exec_with_own_run, exec_without_network, own_python

#: What a shell's careless start-up file leaves: an empty entry is the current folder.
CARELESS = {
    "PYTHONPATH": ":/nonexistent", "PYTHONSTARTUP": "plant.py", "PYTHONUSERBASE": ".",
    "PYTEST_ADDOPTS": "-p plant", "PYTEST_PLUGINS": "plant",
}  # fmt: skip


@pytest.fixture
def hostile(tmp_path: Path) -> HostileFolder:
    return HostileFolder(tmp_path)


def in_folder(
    hostile: HostileFolder, *words: str, seconds: float = 300, **environment: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        words, cwd=hostile.folder, capture_output=True, text=True, check=False, timeout=seconds,
        env={**clean_environment(), **environment},
    )  # fmt: skip


def outside_the_venv() -> str:
    """The Python that the venv stands on."""
    return str(Path(sys.executable).resolve())


def test_the_folder_is_hostile(hostile: HostileFolder) -> None:
    """Without our care each of the ways is open."""
    in_folder(hostile, sys.executable, "-c", "import json")
    assert [line for line in hostile.executed if line.startswith("json of")]
    in_folder(hostile, sys.executable, "-m", "qemunet_tests")
    assert [line for line in hostile.executed if line.startswith("qemunet_tests of")]
    in_folder(hostile, sys.executable, "-P", "-c", "", PYTHONPATH=CARELESS["PYTHONPATH"])
    assert [line for line in hostile.executed if line.startswith("sitecustomize of")]
    in_folder(hostile, outside_the_venv(), "-P", "-c", "", PYTHONUSERBASE=CARELESS["PYTHONUSERBASE"])
    assert [line for line in hostile.executed if line.startswith("usercustomize of") and USER_SITE in line]
    in_folder(hostile, sys.executable, "-P", "-m", "pytest", "-c", os.devnull, "--collect-only", "plant.py")
    assert [line for line in hostile.executed if line.startswith("conftest of")]


@pytest.mark.parametrize("arguments", ["claims", "--version", "run --help", "report /nonexistent"])
def test_a_command_executes_nothing_of_it(hostile: HostileFolder, arguments: str) -> None:
    done = in_folder(hostile, str(CHECKOUT / "bootstrap"), "qemunet", *arguments.split(), **CARELESS)
    assert not hostile.executed
    assert done.returncode in (0, 2), done.stderr
    assert "Traceback" not in done.stderr


def test_python_that_we_start_imports_nothing_of_it(hostile: HostileFolder) -> None:
    done = in_folder(hostile, *own_python.words("json.tool", "--help"), **CARELESS)
    assert done.returncode == 0, done.stderr
    assert not hostile.executed


def test_nor_where_we_were_installed_without_a_venv(hostile: HostileFolder) -> None:
    """There Python looks at a user's own modules, too."""
    words = [outside_the_venv(), *own_python.words("json.tool", "--help")[1:]]
    done = in_folder(hostile, *words, **CARELESS)
    assert done.returncode == 0, done.stderr
    # xdist's workers, which are given the words for it as a shell takes them.
    worker = [outside_the_venv(), *shlex.split(own_python.interpreter(isolated=True))[1:]]
    assert in_folder(hostile, *worker, "-c", "import json", **CARELESS).returncode == 0
    assert not hostile.executed


def test_what_we_start_as_modules_is_started_so(hostile: HostileFolder, tmp_path: Path) -> None:
    cut = in_folder(hostile, *exec_without_network.words(["true"]), **CARELESS)
    if os.geteuid() == 0:
        assert cut.returncode == 0, cut.stderr
        (tmp_path / "run").mkdir()
        # Its mounts are its own; what it makes in /etc is in the lab's when it is used, so it is not run here.
        assert exec_with_own_run.words(tmp_path / "run", "true")[:3] == own_python.words("anything")[:3]
    assert not hostile.executed


@pytest.mark.slow
@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_run_executes_nothing_of_it(hostile: HostileFolder, workers: str) -> None:
    words = ("qemunet", "run", "user/gateway", "user/address", "-n", workers, "--accel", "tcg")
    done = in_folder(hostile, str(CHECKOUT / "bootstrap"), *words, **CARELESS)
    assert not hostile.executed
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
def test_a_shell_executes_nothing_of_it(hostile: HostileFolder) -> None:
    done = in_folder(hostile, str(CHECKOUT / "bootstrap"), "qemunet", "shell", "user", **CARELESS)
    assert not hostile.executed
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("mode", [0o755, 0o1777])
def test_a_shell_with_words_takes_no_firmware_that_others_put_there(open_folder: Path, mode: int) -> None:
    """QEMU looks in the folder it is in first; the words may name files there where nobody else can put any."""
    hostile = HostileFolder(open_folder)
    hostile.folder.chmod(mode)
    script = hostile.folder / "device.conf"
    script.write_text('[device "mine"]\n  driver = "virtio-rng-pci"\n')
    if mode == 0o755:
        for name in FIRMWARE:
            (hostile.folder / name).unlink()
    words = ["-readconfig", script.name if mode == 0o755 else str(script)]
    done = in_folder(hostile, str(CHECKOUT / "bootstrap"), "qemunet", "shell", "user", "--", *words, **CARELESS)
    assert done.returncode == 0, done.stdout + done.stderr
    assert ("have to be named in full" in done.stderr) == (mode == 0o1777)
    assert not hostile.executed


@pytest.mark.slow
def test_workers_of_a_plain_pytest_execute_nothing_of_it(tmp_path: Path) -> None:
    """That pytest itself heeds the folder's settings is pytest's way; so there are none here."""
    hostile = HostileFolder(tmp_path, "conftest.py", "qemunet_tests.conformance/conftest.py")
    for name in ("pytest.ini", "tox.ini", "setup.cfg", "pyproject.toml"):
        (hostile.folder / name).unlink()
    words = ("pytest", "--pyargs", "qemunet_tests.conformance", "-p", "no:cacheprovider", "-n", "2")
    words += ("--qemunet-claims=user/gateway", "--qemunet-accel=tcg", f"--rootdir={CHECKOUT}")
    done = in_folder(hostile, str(CHECKOUT / "bootstrap"), *words)
    assert not hostile.executed
    assert done.returncode == 0, done.stdout + done.stderr


def test_programs_are_looked_for_in_whole_paths_only(tmp_path: Path) -> None:
    everybodys = tmp_path / "everybodys"
    everybodys.mkdir()
    everybodys.chmod(0o1777)
    found = search_path("/sbin", environment={"PATH": f":.:bin:{everybodys}:/usr/bin:"})
    assert found == ("/usr/bin:/sbin" if os.geteuid() == 0 else f"{everybodys}:/usr/bin:/sbin")
