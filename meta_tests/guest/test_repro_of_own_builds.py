"""A guest whose QEMU had a libslirp of the caller's own is booted again with it, and never silently without."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from qemunet_tests import images
from qemunet_tests.__main__ import exit_code
from qemunet_tests.guest import repro
from qemunet_tests.guest.repro import GuestAsItWas
from qemunet_tests.modes.user import UserNetdev
from qemunet_tests.qemu import qemu_facts
from qemunet_tests.qemu.built_image import Image
from qemunet_tests.qemu.netdev import Nic

PLAIN = GuestAsItWas((Nic(UserNetdev(), "e1000", "52:54:00:00:00:01"),), "/usr/bin/qemu", "tcg", "tiny", None)
TRIED = replace(PLAIN, tried=(("libslirp", "/srv/libslirp.so.0"), ("bridge_helper", "/srv/helper")))


@pytest.mark.parametrize("guest", [PLAIN, TRIED], ids=["plain", "tried"])
def test_what_is_kept_is_read_again(guest: GuestAsItWas, tmp_path: Path) -> None:
    (tmp_path / repro.FACTS).write_text(guest.as_json())
    assert repro.read(tmp_path / repro.FACTS) == guest


def test_what_earlier_versions_kept_is_read_too(tmp_path: Path) -> None:
    said = json.loads(PLAIN.as_json())
    del said["tried"]
    (tmp_path / repro.FACTS).write_text(json.dumps(said))
    assert repro.read(tmp_path / repro.FACTS) == PLAIN


@pytest.mark.parametrize("in_lab", [True, False])
def test_without_qemunet_the_script_says_that_this_is_another_qemu(in_lab: bool, tmp_path: Path) -> None:
    image = Image("tiny", "0" * 16, tmp_path, images.recipe("tiny").guest)
    script = repro.script("guest-1", ["qemu"], image, TRIED, in_lab)
    assert "the guest had libslirp /srv/libslirp.so.0, this one has what is installed" in script
    assert "this one has" not in repro.script("guest-1", ["qemu"], image, PLAIN, in_lab)


def test_the_guest_is_booted_again_with_what_was_tried(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    gone = replace(PLAIN, qemu=str(qemu_facts.find().path), tried=(("libslirp", str(tmp_path / "gone.so")),))
    (tmp_path / repro.FACTS).write_text(gone.as_json())
    assert exit_code(["shell", "--again", str(tmp_path / repro.FACTS)]) == 2
    said = capfd.readouterr().err
    assert "gone.so" in said
    assert "libslirp" in said
