"""Builds of the caller's own: what is refused before anything runs, and the proof that QEMU really has the build."""

import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from meta_tests.qemunet_command import qemunet
from qemunet_tests.guest import template
from qemunet_tests.isolation.identity import unprivileged
from qemunet_tests.qemu import qemu_facts
from qemunet_tests.qemu.accel import Accel
from qemunet_tests.qemu.guest_machine import GuestMachine
from qemunet_tests.qemu.qemu_facts import Qemu

_MACHINE_OFFSET = 18
_AARCH64 = (183).to_bytes(2, "little")


@pytest.fixture(scope="module")
def qemu() -> Qemu:
    found = qemu_facts.find()
    if found.library is None:
        pytest.skip("this QEMU loads no libslirp")
    return found


@pytest.fixture
def folder() -> Iterator[Path]:
    """Where root's files are believed, and everybody may read them."""
    with tempfile.TemporaryDirectory(dir="/var/tmp", prefix="qemunet-") as made:
        Path(made).chmod(0o755)
        yield Path(made)


def refused(option: str, file: Path) -> str:
    """What is said about a file that cannot be tried: one line, and the exit status of wrong use."""
    done = qemunet("run", option, str(file), "user/address")
    assert done.returncode == 2, done.stdout + done.stderr
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert str(file) in done.stderr
    return done.stderr


@pytest.mark.parametrize("option", ["--libslirp", "--bridge-helper", "--passt"])
class TestRefused:
    def test_what_is_not_there(self, option: str, folder: Path) -> None:
        assert "there is no" in refused(option, folder / "nothing")

    def test_a_folder(self, option: str, folder: Path) -> None:
        assert "is not a file" in refused(option, folder)

    def test_a_text(self, option: str, folder: Path) -> None:
        file = folder / "text"
        file.write_text("#!/bin/sh\n")
        file.chmod(0o755)
        assert "is neither a program nor a shared library" in refused(option, file)

    @pytest.mark.parametrize("size", [0, 4, 100, 5000])
    def test_a_file_that_was_cut_off(self, option: str, size: int, folder: Path, qemu: Qemu) -> None:
        file = folder / "short"
        assert qemu.library
        file.write_bytes(qemu.library.read_bytes()[:size])
        file.chmod(0o755)
        refused(option, file)

    def test_one_for_another_processor(self, option: str, folder: Path, qemu: Qemu) -> None:
        file = folder / "libslirp.so.0"
        assert qemu.library
        content = bytearray(qemu.library.read_bytes())
        content[_MACHINE_OFFSET : _MACHINE_OFFSET + 2] = _AARCH64
        file.write_bytes(content)
        file.chmod(0o755)
        assert "another processor (EM_AARCH64, 64 bit)" in refused(option, file)

    @pytest.mark.skipif(os.geteuid() != 0, reason="an ordinary user executes what he likes")
    @pytest.mark.parametrize("whose", ["file", "folder"])
    def test_what_root_does_not_own(self, option: str, whose: str, folder: Path, qemu: Qemu) -> None:
        file = folder / "build"
        assert qemu.library
        shutil.copy(qemu.library, file)
        file.chmod(0o755)
        os.chown(file if whose == "file" else folder, 65534, 65534)
        assert "which others can have written" in refused(option, file)


@pytest.mark.parametrize("option", ["--bridge-helper", "--passt"])
def test_a_program_has_to_be_executable(option: str, folder: Path) -> None:
    file = Path(shutil.copy(Path(sys.executable).resolve(), folder / "program"))
    file.chmod(0o644)
    assert "is not executable" in refused(option, file)


def test_another_library_is_not_libslirp(folder: Path) -> None:
    other = next(Path("/lib").glob("*-linux-gnu/libglib-2.0.so.0")).resolve()
    assert "is not libslirp" in refused("--libslirp", Path(shutil.copy(other, folder / "libother.so")))


def test_a_program_is_not_libslirp(folder: Path) -> None:
    assert "is not" in refused("--libslirp", Path(shutil.copy(Path(sys.executable).resolve(), folder / "py")))


def test_another_program_is_not_passt(folder: Path) -> None:
    other = Path(shutil.copy(shutil.which("true") or "", folder / "true"))
    assert "is not passt" in refused("--passt", other)


def test_the_helper_is_for_the_lab(folder: Path, qemu: Qemu) -> None:
    helper = Path(shutil.copy(qemu.helper_path or "", folder / "helper"))
    done = qemunet("run", "--bridge-helper", str(helper), "--target", "host", "bridge/acl-allow")
    assert done.returncode == 2
    assert "on a host its own is tried" in done.stderr


def test_qemu_has_the_build_and_the_report_names_it(folder: Path, qemu: Qemu) -> None:
    # A name and a place that nobody else has, and a link to it, as a build folder has.
    assert qemu.library
    file = Path(shutil.copy(qemu.library, folder / "libslirp.so.0.99"))
    link = folder / "mine.so"
    link.symlink_to(file)
    done = qemunet("run", "--libslirp", str(link), "--report", str(folder / "out"), "-n", "1", "user/address")
    assert done.returncode == 0, done.stdout + done.stderr
    said = json.loads((folder / "out/results.json").read_text())["qemu"]
    assert said["own_libslirp"]["path"] == str(file)
    assert said["own_libslirp"]["version"] == qemu.slirp == said["slirp"]
    assert str(file) in done.stdout


def test_a_wrapper_that_keeps_the_build_out_is_found_out(folder: Path, qemu: Qemu) -> None:
    # It looks right from outside: the run would tell of a libslirp that was never tried.
    assert qemu.library
    file = Path(shutil.copy(qemu.library, folder / "libslirp.so.0.99"))
    wrapper = folder / "qemu"
    wrapper.write_text(f'#!/bin/sh\nunset LD_LIBRARY_PATH\nexec {qemu.path} "$@"\n')
    wrapper.chmod(0o755)
    done = qemunet("run", "--libslirp", str(file), "--qemu", str(wrapper), "-n", "1", "user/netdev-without-device")
    assert done.returncode == 3, done.stdout + done.stderr
    assert "in its memory, and not" in " ".join(done.stdout.split())


def test_a_template_belongs_to_the_libslirp_that_it_was_made_with(qemu: Qemu, tmp_path: Path) -> None:
    from dataclasses import replace

    from qemunet_tests import images

    other = Path(shutil.copy(qemu.library or "", tmp_path / "libslirp.so.0"))
    machines = [
        GuestMachine(each, images.ensure(), Accel("tcg", "", 1.0)) for each in (qemu, replace(qemu, library=other))
    ]
    first, second = (template.key(machine, ["e1000"]) for machine in machines)
    assert first != second


def test_the_user_that_guests_run_as_tells_the_version(qemu: Qemu) -> None:
    from qemunet_tests.qemu import qemu_questions

    assert qemu.library
    assert qemu_questions.libslirp_version(qemu.library, unprivileged()) == qemu.slirp
