"""`qemunet image`: what it says, and that mistakes are one line. How images are made is tested elsewhere."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from qemunet_tests import images
from qemunet_tests.__main__ import exit_code
from qemunet_tests.commands import image as command
from qemunet_tests.guest import template, templates
from qemunet_tests.qemu.built_image import Image

DIGEST = "3921e8478a37f7bf" * 4


@pytest.fixture(autouse=True)
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only cache there is. For root, the machine's own would count as well."""
    cache = tmp_path / "cache"
    monkeypatch.setenv("QEMUNET_CACHE", str(cache))
    monkeypatch.setattr("qemunet_tests.cache.readable_caches", lambda: [cache])
    return cache


def saved_template(cache: Path, name: str, *models: str, age_seconds: float = 0.0) -> Path:
    folder = cache / templates.SHELF / name
    made = cache / templates.SHELF / ".made"
    made.mkdir(parents=True)
    (made / template.MEMORY).write_bytes(b"m" * 5_000_000)
    (made / template.STATE).write_bytes(b"state")
    (made / template.CONSOLE).write_bytes(b"boot")
    template.store(made, folder, models, {"qemu": "7.2.22", "machine": "pc", "accel": "tcg"}, os.getuid())
    shutil.rmtree(made)
    made_at = time.time() - age_seconds
    os.utime(folder, (made_at, made_at))
    return folder


def entry(folder: Path, **different: object) -> images.StoredImage:
    ordinary = {
        "name": "tiny", "digest": DIGEST, "folder": folder, "size_bytes": 139_000_000, "age_seconds": 7300.0,
        "distribution": "debian-12", "current": True,
    }  # fmt: skip
    return images.StoredImage(**{**ordinary, **different})


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ("", "the following arguments are required: ACTION"),
        ("frob", "invalid choice: 'frob'"),
        ("build huge", "there is no guest image called 'huge'; there is: tiny"),
        ("path huge", "there is no guest image called 'huge'; there is: tiny"),
        ("path", "run `qemunet image build` first"),
        ("export huge there", "there is no guest image called 'huge'; there is: tiny"),
        ("export tiny there", "run `qemunet image build` first"),
        ("export", "the following arguments are required: FILE"),
        ("import nowhere.image", "there is no file nowhere.image"),
        ("remove 0123", "there is no built guest image '0123'"),
        ("remove", "the following arguments are required: NAME|DIGEST"),
        ("remove tiny --templates", "NAME|DIGEST|TEMPLATE or --templates, not both"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_code_2(words: str, complaint: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert exit_code(["image", *words.split()]) == 2
    said = capfd.readouterr()
    assert said.out == ""
    assert complaint in said.err
    assert said.err.count("\n") == 1


def test_an_empty_list_says_what_to_do(capfd: pytest.CaptureFixture[str]) -> None:
    assert exit_code(["image", "list"]) == 0
    assert capfd.readouterr() == ("", "no image is built yet; `qemunet image build` makes one\n")


def test_a_list_has_one_line_an_image(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    old = entry(tmp_path / "old", digest="ab" * 32, age_seconds=30.0, size_bytes=68_400_000, current=False)
    monkeypatch.setattr(images, "listing", lambda: [entry(tmp_path / "new"), old])
    assert exit_code(["image", "list"]) == 0
    assert capfd.readouterr().out.splitlines() == [
        "NAME  DIGEST        SIZE    AGE   MADE ON    CURRENT  FOLDER",
        f"tiny  3921e8478a37  139 MB  2 h   debian-12  yes      {tmp_path}/new",
        f"tiny  abababababab  68 MB   30 s  debian-12  no       {tmp_path}/old",
    ]


def test_templates_are_listed_below(empty_cache: Path, capfd: pytest.CaptureFixture[str]) -> None:
    e1000 = saved_template(empty_cache, "c9f251d6036580b3", "e1000", age_seconds=300.5)
    two = saved_template(empty_cache, "efde6059e203c083", "virtio-net-pci", "e1000", age_seconds=150.5)
    damaged = saved_template(empty_cache, "0000000000000001", age_seconds=600.5)
    (damaged / template.MANIFEST).write_text("{")
    os.utime(damaged, (time.time() - 600.5,) * 2)
    assert exit_code(["image", "list"]) == 0
    assert capfd.readouterr().out.splitlines() == [
        "TEMPLATE          NIC                   QEMU    ACCEL  SIZE  AGE     FOLDER",
        f"efde6059e203c083  virtio-net-pci e1000  7.2.22  tcg    5 MB  2 min   {two}",
        f"c9f251d6036580b3  e1000                 7.2.22  tcg    5 MB  5 min   {e1000}",
        f"0000000000000001  (damaged)                            5 MB  10 min  {damaged}",
    ]


@pytest.mark.parametrize(
    ("words", "left"),
    [
        ("c9f251", ["efde6059e203c083"]),
        ("efde6059e203c083", ["c9f251d6036580b3"]),
        ("--templates", []),
    ],
)
def test_templates_are_removed(
    empty_cache: Path, capfd: pytest.CaptureFixture[str], words: str, left: list[str]
) -> None:
    folders = [saved_template(empty_cache, name, "e1000") for name in ("c9f251d6036580b3", "efde6059e203c083")]
    assert exit_code(["image", "remove", words]) == 0
    assert [path.name for path in sorted((empty_cache / templates.SHELF).iterdir())] == left
    gone = [folder for folder in folders if folder.name not in left]
    said = sorted(capfd.readouterr().out.splitlines())
    assert said == [f"template {folder.name} is removed: {folder}" for folder in gone]


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.4, "0 s"), (119, "119 s"), (120, "2 min"), (7199, "119 min"), (7200, "2 h"), (172800, "2 d")],
)
def test_ages(seconds: float, said: str) -> None:
    assert command.age(seconds) == said


@pytest.mark.parametrize(
    ("there_before", "became"), [(False, "is built"), (True, "was built of these packages before")]
)
def test_building_shows_its_steps_and_answers_on_standard_output(
    there_before: bool,
    became: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    def build(name: str, *, progress: images.Progress) -> Image:
        progress.step("unpacking the kernel", 0.3)
        return Image(name, DIGEST, tmp_path, images.recipe(name).guest)

    monkeypatch.setattr(images, "build", build)
    monkeypatch.setattr(images, "listing", lambda: [entry(tmp_path)] if there_before else [])
    assert exit_code(["image", "build"]) == 0
    assert capfd.readouterr() == (f"tiny 3921e8478a37 {became}: {tmp_path}\n", "[ 30%] unpacking the kernel\n")


def test_the_name_of_the_image_may_be_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    monkeypatch.setattr(images, "export", lambda name, file: asked.append((name, file)) or file)
    assert exit_code(["image", "export", str(tmp_path)]) == 0
    assert exit_code(["image", "export", "small", str(tmp_path)]) == 0
    assert asked == [("tiny", tmp_path), ("small", tmp_path)]


def test_help_comes_without_building_anything_up() -> None:
    code = "import sys; from qemunet_tests.commands import image, shell; print(*sorted(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert {"rich", "pydantic", "scapy", "paramiko", "pyroute2"}.isdisjoint(loaded)
