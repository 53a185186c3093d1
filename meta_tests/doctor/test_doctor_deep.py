"""`qemunet doctor --deep`: the boot it makes, by way of programs that behave like QEMU, and how long it waits."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from meta_tests.qemu.test_accel import stub
from meta_tests.samples.healthy_host import KVM_HERE, host
from qemunet_tests import images
from qemunet_tests.deadline import Deadline
from qemunet_tests.doctor import boot_check, checks
from qemunet_tests.doctor.checks import Capability
from qemunet_tests.doctor.host_facts import HostFacts
from qemunet_tests.qemu import kvm_probe, kvm_probe_cache
from qemunet_tests.qemu.built_image import Image

WORKS = "echo QEMUNET READY 1; exec sleep 60"
HANGS = "echo Probing EDD; exec sleep 60"


@pytest.fixture(autouse=True)
def _short_deadlines(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("QEMUNET_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(kvm_probe, "LONGEST_KVM_SECONDS", 20.0)
    # Enough for a shell to say a word on a busy machine.
    monkeypatch.setattr(kvm_probe, "SHORTEST_KVM_SECONDS", 2.0)
    monkeypatch.setattr(kvm_probe, "LONGEST_SOFTWARE_SECONDS", 3.0)


def booted(
    folder: Path, under_kvm: str, in_software: str, *, kvm_opens: bool = True
) -> tuple[HostFacts, Capability, str]:
    """What the deep look at a host finds where QEMU behaves so under its two accelerators, and what it said before."""
    qemu = replace(
        stub(folder, under_kvm, in_software), accelerators=frozenset({"kvm", "tcg"} if kvm_opens else {"tcg"})
    )
    facts = replace(host(folder / "root", {}), qemu=qemu, kvm=KVM_HERE, trial=None)
    notices: list[str] = []
    learned, (capability,) = boot_check.boot(
        facts, Image("tiny", "0", folder, images.recipe("tiny").guest), notices.append
    )
    return learned, capability, " ".join(notices)


def kvm_of(facts: HostFacts) -> checks.Capability:
    return next(found for found in checks.look(facts) if found.check.id == "kvm")


def test_a_kvm_that_hangs_is_found_out_and_remembered(open_folder: Path) -> None:
    facts, capability, said = booted(open_folder, HANGS, WORKS)
    assert "up to 20 s" in said
    assert capability.finding.state == "ok"
    assert "reached userspace in software (TCG)" in capability.finding.reason
    assert kvm_of(facts).finding.state == "not"
    assert "hangs at stage 'real mode'" in kvm_of(facts).finding.reason
    assert facts.qemu is not None
    assert kvm_probe_cache.recall(facts.qemu, facts.credentials.effective_uid) == facts.trial


def test_a_kvm_that_works(open_folder: Path) -> None:
    facts, capability, _ = booted(open_folder, WORKS, HANGS)
    assert "reached userspace under KVM" in capability.finding.reason
    assert kvm_of(facts).finding.state == "ok"


def test_a_guest_that_hangs_in_software_is_given_up(open_folder: Path) -> None:
    clock = Deadline(30, "a boot to be given up")
    _, capability, said = booted(open_folder, WORKS, HANGS, kvm_opens=False)
    assert not clock.passed
    assert said == "booting a small Linux in software"
    assert capability.finding.state == "not"
    assert re.search(
        r"got in software \(TCG\) to stage 'real mode', given up after [\d.]+ s", capability.finding.reason
    )
    assert set(capability.blocks) == set(checks.MODES)


def test_a_qemu_that_ends_is_quoted(open_folder: Path) -> None:
    _, capability, _ = booted(open_folder, WORKS, "echo cannot set up guest memory >&2; exit 1", kvm_opens=False)
    assert "QEMU ended with status 1" in capability.finding.reason
    assert capability.finding.reason.endswith(": cannot set up guest memory")


def test_a_qemu_that_cannot_be_started_is_no_finding_about_guests(tmp_path: Path) -> None:
    def refused(*_: Any, **__: Any) -> Any:
        raise PermissionError(13, "Permission denied")

    facts = replace(host(tmp_path, {}), trial=None)
    _, (capability,) = boot_check.boot(
        facts, Image("tiny", "0", tmp_path, images.recipe("tiny").guest), lambda _: None, refused
    )
    assert capability.finding.state == "caution"
    assert "no guest was booted: cannot start" in capability.finding.reason
