"""Carrying an image in one file: what comes out is what went in, or nothing."""

import hashlib
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import libarchive
import pytest

from meta_tests.images.test_images_shelf import PACKAGE, fill
from qemunet_tests import cache as caches
from qemunet_tests import images
from qemunet_tests.errors import UsageError
from qemunet_tests.images import image_archive, image_cache
from qemunet_tests.images import manifest as manifests
from qemunet_tests.images.manifest import FileSum, Manifest
from qemunet_tests.qemu.built_image import Image


class Host:
    """A machine with a cache of its own and nothing in it."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("QEMUNET_CACHE", str(folder))
        monkeypatch.setattr(caches, "readable_caches", lambda: [folder])


@pytest.fixture
def exported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An image of a distribution that is not this one, exported there."""
    Host(tmp_path / "there", monkeypatch)
    place = image_cache.own_shelf()
    with image_cache.locked(place), image_cache.unfinished(place) as folder:
        # As if it was imported, so that it can be exported from this distribution as well.
        image_cache.publish(folder, fill(folder, distribution="elsewhere-1"), imported=True)
    return images.export("tiny", tmp_path / "tiny.image")


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, exported: Path) -> Iterator[None]:
    """Where it is imported; whatever is refused must leave nothing."""
    Host(tmp_path / "here", monkeypatch)
    yield
    left = {path.name for path in image_cache.own_shelf().glob("*")} - {".lock"}
    assert left == {entry.folder.name for entry in images.listing()}


def archive(file: Path, members: dict[str, bytes]) -> Path:
    with libarchive.file_writer(str(file), "ustar", "zstd") as writing:
        for name, content in members.items():
            writing.add_file_from_memory(name, len(content), content)
    return file


def members(file: Path) -> dict[str, bytes]:
    with libarchive.file_reader(str(file)) as reading:
        return {entry.pathname: b"".join(entry.get_blocks()) for entry in reading}


def refused(file: Path) -> str:
    with pytest.raises(UsageError) as said:
        images.import_(file)
    assert images.listing() == []
    assert "\n" not in str(said.value)
    return str(said.value)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can act as another user")
def test_a_link_of_somebodys_is_not_read_and_nothing_else_is_blamed(exported: Path, open_folder: Path) -> None:
    """It was said that the image could not be written, with exit code 3."""
    link = open_folder / "link"
    link.symlink_to(exported)
    os.chown(link, 4711, 4711, follow_symlinks=False)
    assert refused(link) == f"{link} cannot be read: {link} is a link, and belongs to user 4711"


def test_a_file_that_is_gone_by_the_time_it_is_read_is_named(exported: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shelf = image_cache.own_shelf()

    def shelf_at_last() -> Path:
        exported.unlink(missing_ok=True)
        return shelf

    monkeypatch.setattr(image_cache, "own_shelf", shelf_at_last)
    with pytest.raises(UsageError, match=re.escape(f"{exported} cannot be read: No such file or directory")):
        images.import_(exported)


def test_what_comes_out_is_what_went_in(exported: Path, tmp_path: Path) -> None:
    image = images.import_(exported)
    assert images.available() == images.ensure() == image
    original = next((tmp_path / "there/images").glob("tiny-*"))
    for name in manifests.CONTENT:
        assert (image.folder / name).read_bytes() == (original / name).read_bytes()
    assert images.import_(exported) == image


def test_it_can_be_carried_further(exported: Path, tmp_path: Path) -> None:
    image = images.import_(exported)
    again = images.export("tiny", tmp_path / "again.image")
    assert members(again) == members(exported)
    assert image.digest == images.import_(again).digest


def test_a_changed_byte_is_noticed(exported: Path, tmp_path: Path) -> None:
    content = members(exported)
    for name in manifests.CONTENT:
        changed = content | {name: b"\0" + content[name][1:]}
        said = refused(archive(tmp_path / "changed", changed))
        assert said.endswith(f"is damaged: {name} is not what was exported")


def test_damage_anywhere_in_the_file_is_noticed(exported: Path, tmp_path: Path) -> None:
    whole = exported.read_bytes()
    damaged = tmp_path / "damaged"
    for position in range(0, len(whole), max(1, len(whole) // 40)):
        damaged.write_bytes(whole[:position] + bytes([whole[position] ^ 0x10]) + whole[position + 1 :])
        try:
            images.import_(damaged)
        except UsageError:
            assert images.listing() == []
        else:
            # A byte that carries nothing: what was unpacked is still exactly what was exported.
            images.remove("tiny")


@pytest.mark.parametrize("part", [0.0, 0.1, 0.5, 0.9])
def test_a_file_that_was_cut_short(exported: Path, tmp_path: Path, part: float) -> None:
    cut = tmp_path / "cut"
    cut.write_bytes(exported.read_bytes()[: int(exported.stat().st_size * part)])
    assert "damaged" in refused(cut) or "no exported guest image" in refused(cut)


def test_foreign_files(exported: Path, tmp_path: Path) -> None:
    content = members(exported)
    text = tmp_path / "text"
    text.write_text("Dear Sir or Madam,\n" * 100)
    assert "no exported guest image" in refused(text)
    assert "no exported guest image" in refused(archive(tmp_path / "tar", {"README": b"hello"}))
    assert refused(archive(tmp_path / "json", {manifests.FILE: b"{}"})).endswith("its manifest is wrong")
    extra = refused(archive(tmp_path / "extra", content | {"../../escaped": b"x"}))
    assert extra.endswith("is no exported guest image: ../../escaped does not belong there")
    lacking = {name: one for name, one in content.items() if name != manifests.CONTENT[-1]}
    assert manifests.CONTENT[-1] in refused(archive(tmp_path / "lacking", lacking))
    assert not list(tmp_path.rglob("escaped"))


def test_an_image_of_another_version(exported: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images.Recipe, "digest", lambda self: "0" * 64)
    assert "was made by another version of qemunet" in refused(exported)


def test_it_can_be_taken_in_under_a_name_of_its_own(exported: Path) -> None:
    image = images.import_(exported, "mine")
    assert (image.name, image.guest) == ("mine", images.recipe("tiny").guest)
    assert images.available("mine") == images.ensure("mine") == image
    assert (images.profile("mine"), images.available()) == (image.guest, None)
    assert [(entry.name, entry.current) for entry in images.listing()] == [("mine", True)]
    with pytest.raises(UsageError, match="there is no guest image called 'yours'; there is: mine, tiny"):
        images.ensure("yours")
    with pytest.raises(UsageError, match="'mine' was imported, and there is no recipe to build it by"):
        images.build("mine")


@pytest.mark.parametrize("name", ["../up", "-n", ".", "a/b", "", "two words", "a" * 65, "new\nline"])
def test_what_cannot_be_a_name(exported: Path, tmp_path: Path, name: str) -> None:
    content = members(exported)
    said = json.loads(content[manifests.FILE]) | {"name": name}
    packed = {**content, manifests.FILE: json.dumps(said).encode()}
    assert refused(archive(tmp_path / "named", packed)).endswith("its manifest is wrong")
    if name:
        with pytest.raises(UsageError, match="cannot be the name of a guest image"):
            images.import_(exported, name)


@pytest.fixture
def foreign(exported: Path, tmp_path: Path) -> Path:
    """An image of a recipe that is not here."""
    return saying(exported, tmp_path, name="theirs", recipe_digest="f" * 64)


def saying(exported: Path, tmp_path: Path, **changed: object) -> Path:
    """The same archive with a manifest that says something else, and agrees with itself."""
    content = members(exported)
    said = Manifest.model_validate_json(content[manifests.FILE]).model_copy(update=changed)
    digest = manifests.digest(said.recipe_digest, said.packages, said.files, said.guest)
    lying = said.model_copy(update={"digest": digest})
    return archive(tmp_path / "saying", {**content, manifests.FILE: lying.model_dump_json().encode()})


def test_an_image_without_a_recipe_here_says_all_of_itself(foreign: Path, tmp_path: Path) -> None:
    image = images.import_(foreign)
    assert images.ensure("theirs") == image
    assert images.export("theirs", tmp_path / "again").is_file()
    assert [entry.name for entry in images.remove("theirs")] == ["theirs"]


def test_what_has_a_recipes_name_is_of_that_recipe(foreign: Path) -> None:
    with pytest.raises(UsageError, match=r"another version of qemunet: .* give it a name of its own: .* --name NAME"):
        images.import_(foreign, "tiny")


def test_what_does_not_say_what_guest_it_is_cannot_be_booted(exported: Path, tmp_path: Path) -> None:
    silent = saying(exported, tmp_path, name="theirs", guest=None)
    assert "was made by another version of qemunet" in refused(silent)


@pytest.mark.parametrize(
    "lie",
    [
        {"memory_mib": 0},
        {"memory_mib": 1 << 30},
        {"cmdline": "quiet\npanic=0"},
        {"nics": {"e1000,romfile=/etc/shadow": []}},
        {"control": {"protocol": 2, "prompt": "guest# "}},
        {"unknown": 1},
    ],
)
def test_what_no_guest_can_be_is_not_taken_in(exported: Path, tmp_path: Path, lie: dict[str, object]) -> None:
    guest = json.loads(members(exported)[manifests.FILE])["guest"] | lie
    content = members(exported)
    said = json.loads(content[manifests.FILE]) | {"guest": guest}
    packed = {**content, manifests.FILE: json.dumps(said).encode()}
    assert refused(archive(tmp_path / "lying", packed)).endswith("its manifest is wrong")


@pytest.mark.parametrize("text", ["\x1b]0;title\x07", "\u202eevil", "debian-12\nqemunet: all is well", "x" * 1000])
def test_what_a_list_of_images_would_obey_is_not_taken_in(exported: Path, tmp_path: Path, text: str) -> None:
    assert refused(saying(exported, tmp_path, name="theirs", distribution=text)).endswith("its manifest is wrong")
    package = PACKAGE.model_copy(update={"source": text})
    assert refused(saying(exported, tmp_path, name="theirs", packages=(package,))).endswith("its manifest is wrong")


def test_names_that_lead_nowhere(tmp_path: Path) -> None:
    assert refused(tmp_path / "nothing") == f"there is no file {tmp_path / 'nothing'}"
    with pytest.raises(UsageError, match="run `qemunet image build` first"):
        images.export("tiny", tmp_path / "new.image")


def test_an_export_that_cannot_be_written_leaves_nothing(exported: Path, tmp_path: Path) -> None:
    image: Image = images.import_(exported)
    with pytest.raises(UsageError, match="cannot be written"):
        images.export("tiny", tmp_path / "no such folder" / "file")
    target = tmp_path / "folder"
    target.mkdir()
    with pytest.raises(UsageError, match="cannot be written"):
        images.export("tiny", target)
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []
    assert images.available() == image


def announcing(content: dict[str, bytes], size: int) -> dict[str, bytes]:
    """An export whose manifest says that each file has another size, and agrees with itself."""
    said = Manifest.model_validate_json(content[manifests.FILE])
    files = {name: FileSum(size=size, sha256=one.sha256) for name, one in said.files.items()}
    named = manifests.digest(said.recipe_digest, said.packages, files, said.guest)
    lying = said.model_copy(update={"files": files, "digest": named})
    return {manifests.FILE: lying.model_dump_json().encode()} | {
        name: one for name, one in content.items() if name != manifests.FILE
    }


def test_an_image_without_end_is_refused_before_it_is_unpacked(exported: Path, tmp_path: Path) -> None:
    huge = archive(tmp_path / "huge", announcing(members(exported), 1 << 40))
    assert refused(huge).endswith("is no exported guest image: it says that it is larger than 512 MiB")


def test_no_more_is_written_than_was_announced(exported: Path, tmp_path: Path) -> None:
    """A zstd stream of zeros is some ten thousand times smaller than they are."""
    content = announcing(members(exported), 10)
    content[manifests.CONTENT[0]] = bytes(64 << 20)
    written: list[tuple[str, int]] = []
    fits = image_archive._fits

    def measured(entry: Any, place: Path, limit_bytes: int) -> bool:
        fitted = fits(entry, place, limit_bytes)
        written.append((place.name, place.stat().st_size))
        return fitted

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(image_archive, "_fits", measured)
        refused(archive(tmp_path / "long", content))
    # Nor is the archive read any further, where what was left out would be unpacked on the way.
    ((name, size),) = written
    assert name in manifests.CONTENT
    assert size <= 10


@pytest.mark.parametrize("repeated", [manifests.FILE, manifests.CONTENT[0]])
def test_a_file_comes_once(exported: Path, tmp_path: Path, repeated: str) -> None:
    twice, content = tmp_path / "twice", members(exported)
    with libarchive.file_writer(str(twice), "ustar", "zstd") as writing:
        for name in (*content, repeated):
            writing.add_file_from_memory(name, len(content[name]), content[name])
    assert refused(twice).endswith(f"is no exported guest image: {repeated} does not belong there")


def test_another_content_has_another_digest(exported: Path, tmp_path: Path) -> None:
    """Whoever packs an image cannot have it pass for one of the same ingredients."""
    content = members(exported)
    said = Manifest.model_validate_json(content[manifests.FILE])
    name = manifests.CONTENT[0]
    forged = b"\0" * len(content[name])
    sums = {**said.files, name: FileSum(size=len(forged), sha256=hashlib.sha256(forged).hexdigest())}
    lying = said.model_copy(update={"files": sums})
    packed = {**content, name: forged, manifests.FILE: lying.model_dump_json().encode()}
    assert refused(archive(tmp_path / "forged", packed)).endswith("its manifest contradicts itself")
