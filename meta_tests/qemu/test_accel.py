"""The accelerator: the decision by table, the trial by stub, the memory by tampering."""

import contextlib
import json
import os
import re
from pathlib import Path
from typing import Any

import pytest

from meta_tests.patience import soon
from qemunet_tests import images
from qemunet_tests.deadline import Deadline
from qemunet_tests.errors import HarnessError, Unavailable, UsageError
from qemunet_tests.host import kvm
from qemunet_tests.host.obstacle import Obstacle
from qemunet_tests.qemu import kvm_probe, kvm_probe_cache
from qemunet_tests.qemu.accel import Accel, Observed, choose, decide
from qemunet_tests.qemu.built_image import Image
from qemunet_tests.qemu.kvm_probe import Boot, Trial, launch_here
from qemunet_tests.qemu.qemu_facts import Qemu

DENIED = Obstacle("alice may not open /dev/kvm (mode 0660, group kvm)", "sudo usermod -aG kvm alice")
SOFTWARE = Boot("tcg", "userspace", 4.0)
WORKS = Trial(Boot("kvm", "userspace", 1.2), Boot("tcg", "kernel start", 1.2))
HANGS = Trial(Boot("kvm", "real mode", 12.0), SOFTWARE)
SLOW_MACHINE = Trial(Boot("kvm", "real mode", 20.0), Boot("tcg", "userspace", 16.0))
NEITHER = Trial(Boot("kvm", "firmware", 20.0), Boot("tcg", "kernel start", 20.0))
DIES = Trial(Boot("kvm", "kernel start", 0.8, status=1, complaint="KVM: entry failed"), SOFTWARE)
REFUSED = Trial(Boot("kvm", "firmware", 0.1, status=1, complaint="Could not access KVM kernel module"), SOFTWARE)


@pytest.mark.parametrize(
    ("observed", "used", "reason", "slowdown"),
    [
        (Observed(True, None, WORKS), "kvm", "a Linux guest reached userspace under KVM in 1.2 s", 1.0),
        (Observed(False, None, None), "tcg", "this QEMU was built without KVM", 5.0),
        (Observed(False, None, WORKS), "tcg", "this QEMU was built without KVM", 5.0),
        (Observed(True, DENIED, None), "tcg", "alice may not open /dev/kvm", 5.0),
        (Observed(True, DENIED, None), "tcg", "sudo usermod -aG kvm alice", 5.0),
        (Observed(True, DENIED, WORKS), "tcg", "alice may not open /dev/kvm", 5.0),
        (Observed(True, None, None), "tcg", "was not tried", 5.0),
        (Observed(True, None, HANGS), "tcg", "a Linux guest hangs at stage 'real mode' after 12 s", 5.0),
        (Observed(True, None, HANGS), "tcg", "in software it needs 4.0 s", 5.0),
        (Observed(True, None, SLOW_MACHINE), "tcg", "hangs at stage 'real mode'", 10.0),
        (Observed(True, None, NEITHER), "tcg", "hangs at stage 'firmware' after 20 s", 12.5),
        (Observed(True, None, DIES), "tcg", "dies at stage 'kernel start'", 5.0),
        (Observed(True, None, REFUSED), "tcg", "QEMU does not start under KVM: Could not access KVM", 5.0),
    ],
)
def test_the_decision(observed: Observed, used: str, reason: str, slowdown: float) -> None:
    decided = decide("auto", observed)
    assert decided.used == used
    assert reason in decided.reason
    assert decided.slowdown == slowdown
    if used == "kvm":
        assert decide("kvm", observed) == decided
    else:
        with pytest.raises(Unavailable) as refusal:
            decide("kvm", observed)
        assert reason in f"{refusal.value.reason} {refusal.value.remedy}"
        assert "--accel tcg" in refusal.value.remedy


@pytest.fixture
def image(open_folder: Path) -> Image:
    return Image("tiny", "0", open_folder, images.recipe("tiny").guest)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch, open_folder: Path) -> None:
    """Short deadlines, as short as this machine allows, a cache of the test's own, and a KVM that opens."""
    monkeypatch.setenv("QEMUNET_CACHE", str(open_folder / "cache"))
    monkeypatch.setattr(kvm_probe, "LONGEST_KVM_SECONDS", soon(0.75))
    monkeypatch.setattr(kvm_probe, "SHORTEST_KVM_SECONDS", soon(0.15))
    monkeypatch.setattr(kvm, "obstacle", lambda *_: None)


def stub(folder: Path, under_kvm: str, in_software: str = "echo QEMUNET READY 1; exec sleep 60") -> Qemu:
    """A QEMU whose two accelerators behave as the scripts say. Notes the process ids it ran as.

    Those of this machine: for root it runs in a PID namespace, where $$ is another number.
    """
    path = folder / "qemu-stub"
    path.write_text(
        f"#!/bin/sh\nread -r pid _ </proc/self/stat\necho $pid >>{folder}/pids\n"
        f"case \"$*\" in\n*'-accel kvm'*) {under_kvm} ;;\n*) {in_software} ;;\nesac\n"
    )
    path.chmod(0o755)
    # Who guests run as may be somebody else.
    (folder / "pids").touch()
    (folder / "pids").chmod(0o666)
    return Qemu(
        path, "9.2.4", "QEMU emulator version 9.2.4", None, frozenset({"user"}), frozenset({"kvm", "tcg"}),
        "pc-i440fx-9.2", None, (),
    )  # fmt: skip


def started(folder: Path) -> list[int]:
    return [int(word) for word in (folder / "pids").read_text().split()]


def alive(pid: int) -> bool:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, 0)
        return True
    return False


def must_not_start(*_: Any, **__: Any) -> Any:
    raise AssertionError("something was booted")


HANG = "echo 'Probing EDD (edd=off to disable)... ok'; exec sleep 60"


def test_a_kvm_that_hangs_is_seen_once_and_leaves_nothing(open_folder: Path, image: Image) -> None:
    qemu = stub(open_folder, HANG)
    notices: list[str] = []
    chosen = choose("auto", qemu, image, notice=notices.append)
    assert chosen.used == "tcg"
    assert "hangs at stage 'real mode'" in chosen.reason
    assert len(notices) == 1
    assert "probing KVM" in notices[0]
    pids = started(open_folder)
    assert len(pids) == 2
    assert not any(alive(pid) for pid in pids)
    assert choose("auto", qemu, image, must_not_start) == chosen


def test_a_kvm_that_works(open_folder: Path, image: Image) -> None:
    qemu = stub(open_folder, "echo Linux version 6; echo QEMUNET READY 1; exec sleep 60", "exec sleep 60")
    chosen = choose("auto", qemu, image)
    assert (chosen.used, chosen.slowdown) == ("kvm", 1.0)
    assert choose("kvm", qemu, image, must_not_start) == chosen
    assert not any(alive(pid) for pid in started(open_folder))


def test_a_kvm_that_hangs_but_was_asked_for(open_folder: Path, image: Image) -> None:
    with pytest.raises(Unavailable) as refusal:
        choose("kvm", stub(open_folder, HANG), image)
    assert "--accel kvm was asked for, but KVM opens but a Linux guest hangs" in refusal.value.reason


def test_a_refusal_is_told_and_not_kept(open_folder: Path, image: Image) -> None:
    refusing = stub(open_folder, "echo 'Could not access KVM kernel module: Permission denied' >&2; exit 1")
    assert "Permission denied" in choose("auto", refusing, image).reason
    permitted = stub(open_folder, "echo QEMUNET READY 1; exec sleep 60")
    assert choose("auto", permitted, image).used == "kvm"


def test_an_internal_error_of_kvm_is_not_waited_for(
    open_folder: Path, image: Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kvm_probe, "LONGEST_KVM_SECONDS", 30)
    clock = Deadline(5, "the answer")
    qemu = stub(open_folder, "echo 'KVM internal error. Suberror: 1' >&2; exec sleep 60", "exec sleep 60")
    assert choose("auto", qemu, image).used == "tcg"
    assert not clock.passed


def test_in_software_on_request_nothing_is_looked_at(image: Image, open_folder: Path) -> None:
    qemu = stub(open_folder, HANG)
    assert choose("tcg", qemu, image, must_not_start) == Accel("tcg", "--accel tcg was asked for", 5.0)


def test_an_unknown_word_is_a_mistake_of_use(image: Image, open_folder: Path) -> None:
    with pytest.raises(UsageError, match="choose one of auto, kvm, tcg"):
        choose("hvf", stub(open_folder, HANG), image)


def test_a_launch_that_fails_is_the_benchs_fault(image: Image, open_folder: Path) -> None:
    def broken(*_: Any, **__: Any) -> Any:
        raise OSError(8, "Exec format error")

    with pytest.raises(HarnessError, match="Exec format error"):
        choose("auto", stub(open_folder, HANG), image, broken)


def spoil(path: Path, how: str) -> None:
    document = json.loads(path.read_text())
    match how:
        case "cut":
            path.write_text(path.read_text()[:40])
        case "list":
            path.write_text("[]")
        case "binary":
            path.write_bytes(b"\xff\xfe\0")
        case "other boot":
            path.write_text(json.dumps({**document, "boot": "00000000-0000"}))
        case "other schema":
            path.write_text(json.dumps({**document, "schema": 99}))
        case "odd trial":
            path.write_text(json.dumps({**document, "trials": {key: {"kvm": 1} for key in document["trials"]}}))
        case "odd stage":
            path.write_text(path.read_text().replace("real mode", "nowhere"))
        case "deep":
            path.write_text("[" * 100_000 + "]" * 100_000)
        case "list for a stage":
            path.write_text(path.read_text().replace('"firmware"', "[]").replace('"real mode"', "[]"))
        case "list for a complaint":
            path.write_text(re.sub(r'"complaint": ".*"', '"complaint": []', path.read_text()))
        case "no number":
            path.write_text(re.sub(r'"seconds": [0-9.]+', '"seconds": NaN', path.read_text()))
        case "gone":
            path.unlink()


@pytest.mark.parametrize(
    "how",
    [
        "cut", "list", "binary", "other boot", "other schema", "odd trial", "odd stage", "deep", "list for a stage",
        "list for a complaint", "no number", "gone",
    ],
)  # fmt: skip
def test_a_spoilt_memory_means_another_trial(how: str, open_folder: Path, image: Image) -> None:
    qemu = stub(open_folder, HANG)
    choose("auto", qemu, image)
    spoil(open_folder / "cache" / kvm_probe_cache.FILE, how)
    choose("auto", qemu, image)
    assert len(started(open_folder)) == 4
    choose("auto", qemu, image, must_not_start)


def test_the_memory_is_of_one_qemu_and_one_user(open_folder: Path, image: Image) -> None:
    qemu = stub(open_folder, HANG)
    choose("auto", qemu, image, uid=1234)
    assert kvm_probe_cache.recall(qemu, 1234) is not None
    assert kvm_probe_cache.recall(qemu, 4321) is None
    os.utime(qemu.path, (1, 1))
    assert kvm_probe_cache.recall(qemu, 1234) is None


def test_a_cache_that_cannot_be_written_is_mentioned(
    open_folder: Path, image: Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QEMUNET_CACHE", "/proc/nothing/here")
    notices: list[str] = []
    assert choose("auto", stub(open_folder, HANG), image, notice=notices.append).used == "tcg"
    assert any("is not kept: /proc/nothing/here cannot be written" in notice for notice in notices)


def test_an_interrupted_trial_leaves_nothing(open_folder: Path, image: Image) -> None:
    launched = []

    def then_interrupted(words: list[str], **streams: Any) -> Any:
        if launched:
            raise KeyboardInterrupt
        launched.append(launch_here(words, **streams))
        return launched[0]

    with pytest.raises(KeyboardInterrupt):
        choose("auto", stub(open_folder, HANG), image, then_interrupted)
    assert launched[0].poll() is not None
