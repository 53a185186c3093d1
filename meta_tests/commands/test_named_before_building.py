"""What is named on the command line is looked at before an image is built, which takes minutes where there is none."""

import shutil
from pathlib import Path

import pytest

from meta_tests.qemunet_command import qemunet
from qemunet_tests.__main__ import exit_code

NO_KVM = 'case "$*" in "-accel help") echo tcg;; *) exec {qemu} "$@";; esac'


@pytest.fixture
def empty_cache(open_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    cache = open_folder / "cache"
    cache.mkdir()
    monkeypatch.setenv("QEMUNET_CACHE", str(cache))
    return cache


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ("run --qemu /bin/false", "--qemu: /bin/false is not QEMU"),
        ("run --passt /bin/false", "--passt: '/bin/false' is not passt"),
        ("run --libslirp /bin/false", "--libslirp: '/bin/false' is not libslirp"),
        ("run --bridge-helper /bin/false", "--bridge-helper: '/bin/false' is not qemu-bridge-helper"),
        ("record --qemu /bin/false", "--qemu: /bin/false is not QEMU"),
        ("record --baseline /bin/false", "--baseline: /bin/false is not QEMU"),
        ("record --baseline /no/such", "--baseline /no/such: there is no such program"),
    ],
)
def test_what_does_not_work_is_said_at_once(words: str, complaint: str, empty_cache: Path) -> None:
    done = qemunet(*words.split())
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"qemunet: {complaint}")
    assert done.stderr.count("\n") == 1
    assert not list(empty_cache.iterdir())


@pytest.mark.parametrize("command", ["run", "record"])
def test_kvm_is_not_asked_for_in_vain_for_minutes(command: str, empty_cache: Path, open_folder: Path) -> None:
    without = open_folder / "qemu-without-kvm"
    without.write_text("#!/bin/sh\n" + NO_KVM.format(qemu=shutil.which("qemu-system-x86_64")))
    without.chmod(0o755)
    done = qemunet(command, "--accel", "kvm", "--qemu", str(without))
    assert (done.returncode, done.stdout) == (3, "")
    reason, remedy = done.stderr.splitlines()
    assert reason.endswith("--accel kvm was asked for, but this QEMU was built without KVM")
    assert remedy.startswith("qemunet: remedy: ")
    assert not list(empty_cache.iterdir())


def test_a_cache_that_cannot_be_written_is_named(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("QEMUNET_CACHE", "/proc/cache")
    assert exit_code(["image", "build"]) == 2
    said = capfd.readouterr().err
    assert "/proc/cache" in said
    assert "QEMUNET_CACHE" in said
    assert "Errno" not in said


@pytest.mark.parametrize(
    ("words", "where"),
    [
        (["run", "--dry-run", "--known", ""], "the empty word behind --known"),
        (["run", "--dry-run", "--known="], "--known="),
        (["run", "", "--dry-run"], "the empty word behind run"),
        (["record", "--arms", "moon", "--out", ""], "the empty word behind --out"),
        (["shell", "", "--", ""], "the empty word behind shell"),
        ([""], "the empty word behind qemunet"),
    ],
)
def test_a_variable_that_is_not_set_names_nothing(
    words: list[str], where: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """A run without its list of known breakages would be another run. What else is wrong here is found later."""
    assert exit_code(words) == 2
    assert capfd.readouterr().err == f"qemunet: nothing is named by {where}: fill it in, or leave it out\n"
