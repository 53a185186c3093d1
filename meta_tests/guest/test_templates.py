"""Templates: what they depend on, that damage is noticed, and that thawed and booted guests earn the same verdicts."""

import dataclasses
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Collection
from pathlib import Path
from typing import Any

import pytest

from meta_tests.patience import limit
from qemunet_tests import images
from qemunet_tests.guest import template, templates
from qemunet_tests.qemu import qemu_facts
from qemunet_tests.qemu.accel import Accel
from qemunet_tests.qemu.built_image import Image
from qemunet_tests.qemu.guest_machine import GuestMachine

CHECKOUT = Path(__file__).parents[2]
#: One of each kind: by DHCP, by a forward, by the bridge, by frames.
CLAIMS = ("user/address", "user/dns-resolves", "user/hostfwd-ssh-2222", "bridge/lease-known-to-server", "user/e1000")


@pytest.fixture
def machine() -> GuestMachine:
    return GuestMachine(qemu_facts.find(), images.ensure("tiny"), Accel("tcg", "for a test", 5.0))


def saying(image: Image, **changed: object) -> Image:
    """The image, had it said something else of its guest."""
    return dataclasses.replace(image, guest=image.guest.model_copy(update=changed))


def test_a_template_depends_on_everything_that_goes_into_it(machine: GuestMachine) -> None:
    qemu, image = machine.qemu, machine.image
    others = [
        dataclasses.replace(machine, image=saying(image, cmdline="console=ttyS0 quiet")),
        dataclasses.replace(machine, image=saying(image, memory_mib=257)),
        dataclasses.replace(machine, accel=Accel("kvm", "for a test", 1.0)),
        dataclasses.replace(machine, image=dataclasses.replace(image, digest="another")),
        dataclasses.replace(machine, qemu=dataclasses.replace(qemu, machine="pc-q35-7.2")),
        dataclasses.replace(machine, qemu=dataclasses.replace(qemu, version_line="QEMU 99")),
    ]
    keys = [template.key(each, ("e1000",)) for each in [machine, *others]]
    keys += [template.key(machine, ("rtl8139",)), template.key(machine, ("e1000", "e1000"))]
    assert len(set(keys)) == len(keys)
    assert template.key(machine, ("e1000",)) == keys[0]


def saved(folder: Path) -> Path:
    """A template on a shelf, with holes in its memory."""
    made = folder.with_name(".made")
    made.mkdir(parents=True)
    (made / template.MEMORY).write_bytes(b"boot" + bytes(3 << 20) + b"end")
    (made / template.STATE).write_bytes(b"state")
    (made / template.CONSOLE).write_bytes(b"boot")
    template.store(made, folder, ("e1000",), {"qemu": "7.2"}, os.getuid())
    shutil.rmtree(made)
    return folder


def test_a_copy_is_exact_and_keeps_its_holes(tmp_path: Path) -> None:
    source = saved(tmp_path / "source")
    taken = template.copy(source, tmp_path / "taken")
    assert taken.memory.read_bytes() == (source / template.MEMORY).read_bytes()
    assert taken.memory.stat().st_blocks * 512 < 3 << 20
    assert taken.models == ("e1000",)


@pytest.mark.parametrize("harm", ["flip", "cut", "no-state", "no-manifest", "bad-manifest"])
def test_damage_is_noticed(tmp_path: Path, harm: str) -> None:
    source = saved(tmp_path / "source")
    memory = source / template.MEMORY
    if harm == "flip":
        memory.write_bytes(b"B" + memory.read_bytes()[1:])
    elif harm == "cut":
        memory.write_bytes(memory.read_bytes()[:-1])
    elif harm == "bad-manifest":
        (source / template.MANIFEST).write_text("{")
    else:
        (source / (template.STATE if harm == "no-state" else template.MANIFEST)).unlink()
    with pytest.raises(template.TemplateDamaged):
        template.copy(source, tmp_path / "taken")


def test_the_shelf_lists_and_forgets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QEMUNET_CACHE", str(tmp_path))
    saved(tmp_path / templates.SHELF / "0123")
    entry = next(entry for entry in templates.listing() if entry.name == "0123")
    assert (entry.models, entry.about["qemu"], entry.size_bytes > 0) == (("e1000",), "7.2", True)
    assert [removed.name for removed in templates.remove("0123")] == ["0123"]
    assert "0123" not in [entry.name for entry in templates.listing()]
    assert not templates.remove("0123")
    assert not list((tmp_path / templates.SHELF).iterdir())


def run(report: Path, *words: str, claims: Collection[str] = CLAIMS, within_seconds: float = 600) -> dict[str, Any]:
    """The results of a run of these claims; of none named, all."""
    chosen = [f"--qemunet-claims={claim}" for claim in claims]
    command = [sys.executable, "-m", "pytest", "--pyargs", "qemunet_tests.conformance", "-p", "no:cacheprovider"]
    ended = subprocess.run(
        [*command, "--qemunet-accel=tcg", f"--qemunet-report={report}", *chosen, *words],
        cwd=CHECKOUT, capture_output=True, text=True, timeout=limit(within_seconds), check=False,
    )  # fmt: skip
    assert (report / "results.json").is_file(), ended.stdout + ended.stderr
    results: dict[str, Any] = json.loads((report / "results.json").read_text())
    return results


def verdicts(results: dict[str, Any]) -> dict[str, str]:
    return {each["claim"]: each["verdict"] for each in results["verdicts"]}


def cited(results: dict[str, Any]) -> dict[str, list[str]]:
    return {each["claim"]: each["tests"] for each in results["verdicts"]}


def assert_alike(thawed: dict[str, Any], cold: dict[str, Any]) -> None:
    """Both ran the same tests with the same verdicts, the one mostly on thawed guests, the other on none."""
    reasons = {each["claim"]: each["reason"] for each in (*thawed["verdicts"], *cold["verdicts"]) if each["reason"]}
    assert cited(thawed) == cited(cold)
    assert verdicts(thawed) == verdicts(cold), reasons
    assert cold["guests"]["thawed"] == 0
    assert sum(thawed["guests"].values()) == sum(cold["guests"].values())
    assert not [note for note in thawed["notes"] if "boot cold" in note]


@pytest.mark.slow
def test_thawed_and_booted_guests_earn_the_same_verdicts(tmp_path: Path) -> None:
    thawed, cold = run(tmp_path / "thawed"), run(tmp_path / "cold", "--qemunet-cold")
    assert_alike(thawed, cold)
    assert verdicts(thawed) == dict.fromkeys(CLAIMS, "holds")
    assert thawed["guests"]["booted"] == 0


@pytest.mark.slow
def test_the_whole_suite_passes_thawed_and_cold(tmp_path: Path) -> None:
    thawed = run(tmp_path / "thawed", "-n", "2", claims=(), within_seconds=3600)
    cold = run(tmp_path / "cold", "-n", "2", "--qemunet-cold", claims=(), within_seconds=3600)
    assert_alike(thawed, cold)
    assert not set(verdicts(cold).values()) & {"broken", "inconclusive"}
    # What is left are the claims about the command line itself.
    assert thawed["guests"]["booted"] <= 5


@pytest.mark.slow
def test_a_damaged_template_is_not_thawed_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shelf = images.ensure("tiny").folder.parent
    monkeypatch.setenv("QEMUNET_CACHE", str(tmp_path / "cache"))
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "images").symlink_to(shelf)
    run(tmp_path / "making")
    for memory in (tmp_path / "cache" / templates.SHELF).glob(f"*/{template.MEMORY}"):
        with memory.open("r+b") as file:
            file.seek(1 << 20)
            file.write(b"damage")
    damaged = run(tmp_path / "damaged")
    assert verdicts(damaged) == dict.fromkeys(CLAIMS, "holds")
    assert damaged["guests"]["thawed"] == 0
    assert len([note for note in damaged["notes"] if "boot cold" in note]) == 2  # one for each NIC model
    assert run(tmp_path / "mended")["guests"]["booted"] == 0
