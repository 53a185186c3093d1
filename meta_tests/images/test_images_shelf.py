"""The shelf of built images: what is trusted, what is not, and what becomes of a builder that is killed."""

import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from meta_tests.patience import limit, soon
from qemunet_tests import cache as caches
from qemunet_tests import images
from qemunet_tests.errors import HarnessError, UsageError
from qemunet_tests.images import image_cache, store
from qemunet_tests.images import manifest as manifests
from qemunet_tests.images.distribution import host_release
from qemunet_tests.images.manifest import Manifest, UsedPackage
from qemunet_tests.qemu.built_image import Image

PACKAGE = UsedPackage(name="linux-image", version="6.1", sha256="ab" * 32)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only cache there is. For root, the machine's own would count as well."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("QEMUNET_CACHE", str(folder))
    monkeypatch.setattr(caches, "readable_caches", lambda: [folder])
    return folder


@pytest.fixture(autouse=True)
def no_tools(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing here may ask apt."""
    monkeypatch.setattr("qemunet_tests.images.apt.run", None)


def fill(folder: Path, package: UsedPackage = PACKAGE, distribution: str | None = None) -> Manifest:
    """An image's files, small ones."""
    for name in manifests.CONTENT:
        (folder / name).write_bytes(f"this is {name}".encode() * 100)
    recipe_digest, guest = images.recipe("tiny").digest(), images.recipe("tiny").guest
    return Manifest(
        name="tiny",
        digest=manifests.digest(recipe_digest, (package,), manifests.sums(folder), guest),
        recipe_digest=recipe_digest,
        distribution=distribution or host_release().label,
        packages=(package,),
        files=manifests.sums(folder),
        guest=guest,
    )


def put(package: UsedPackage = PACKAGE, distribution: str | None = None, imported: bool = False) -> Image:
    place = image_cache.own_shelf()
    with image_cache.locked(place), image_cache.unfinished(place) as folder:
        return image_cache.publish(folder, fill(folder, package, distribution), imported=imported)


def test_a_present_image_is_found_at_once() -> None:
    image = put()
    begun = time.perf_counter()
    assert images.ensure() == image
    assert time.perf_counter() - begun < soon(0.1)
    assert images.available() == image


def test_everybody_may_read_it(cache: Path) -> None:
    folder = put().folder
    assert {path.stat().st_mode & 0o777 for path in (cache, folder.parent, folder)} == {0o755}
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o644}


def test_a_cache_folder_that_is_there_keeps_its_mode(cache: Path) -> None:
    cache.mkdir()
    cache.chmod(0o1777)
    put()
    assert cache.stat().st_mode & 0o7777 == 0o1777


@pytest.mark.parametrize("name", [*manifests.CONTENT, manifests.FILE])
def test_a_cut_or_missing_file_is_no_image(name: str) -> None:
    file = put().folder / name
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2])
    assert images.available() is None
    file.unlink()
    assert images.available() is None
    file.write_bytes(whole)
    assert images.available() is not None


def test_a_manifest_that_contradicts_itself_is_no_image() -> None:
    file = put().folder / manifests.FILE
    file.write_text(file.read_text().replace('"6.1"', '"6.2"'))
    assert images.available() is None
    assert images.listing() == []


def test_an_image_of_another_distribution_serves_only_where_it_was_imported() -> None:
    put(distribution="elsewhere-1")
    assert images.available() is None
    assert not images.listing()[0].current
    imported = put(distribution="elsewhere-1", imported=True)
    assert images.available() == imported
    assert images.listing()[0].current


def test_one_built_here_comes_before_one_imported_later() -> None:
    here = put()
    put(UsedPackage(name="linux-image", version="6.2", sha256="cd" * 32), "elsewhere-1", imported=True)
    assert images.available() == here


def test_an_image_of_another_recipe_does_not_serve(monkeypatch: pytest.MonkeyPatch) -> None:
    put()
    monkeypatch.setattr(images.Recipe, "digest", lambda self: "0" * 64)
    assert images.available() is None
    assert [entry.current for entry in images.listing()] == [False]


def test_listing_and_removing() -> None:
    first, second = put(), put(UsedPackage(name="linux-image", version="6.2", sha256="cd" * 32))
    assert {entry.digest for entry in images.listing()} == {first.digest, second.digest}
    assert images.listing()[0].size_bytes == sum((first.folder / name).stat().st_size for name in manifests.CONTENT)
    assert [entry.digest for entry in images.remove(first.digest[:12])] == [first.digest]
    assert images.available() == second
    images.remove("tiny")
    assert list(second.folder.parent.glob("[!.]*")) == []
    with pytest.raises(UsageError, match="there is no built guest image 'tiny'"):
        images.remove("tiny")


def test_an_unknown_name_says_what_there_is() -> None:
    with pytest.raises(UsageError, match="there is no guest image called 'huge'; there is: tiny"):
        images.ensure("huge")


BUILDER_THAT_IS_KILLED = """
import os, signal
from meta_tests.images import test_images_shelf as tests
from qemunet_tests.images import manifest, image_cache as shelf
place = shelf.own_shelf()
with shelf.locked(place), shelf.unfinished(place) as folder:
    said = tests.fill(folder)
    (folder / manifest.FILE).write_text(said.model_dump_json())
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_builder_killed_just_before_the_end_leaves_nothing_that_counts() -> None:
    checkout = Path(__file__).parents[2]
    died = subprocess.run([sys.executable, "-c", BUILDER_THAT_IS_KILLED], cwd=checkout, check=False)
    assert died.returncode == -9
    assert len(list(image_cache.own_shelf().glob(f"{image_cache.UNFINISHED}*"))) == 1
    assert images.available() is None
    assert images.listing() == []
    put()
    assert list(image_cache.own_shelf().glob(f"{image_cache.UNFINISHED}*")) == []
    assert images.available() is not None


def test_a_build_that_fails_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_arguments: object) -> Image:
        fill(next(image_cache.own_shelf().glob(f"{image_cache.UNFINISHED}*")))
        raise HarnessError("no such luck")

    monkeypatch.setattr(store, "_build_from", fails)
    with pytest.raises(HarnessError, match="no such luck"):
        images.ensure()
    assert [path.name for path in image_cache.own_shelf().iterdir()] == [".lock"]


class Listening:
    """Remembers what it was told."""

    def __init__(self) -> None:
        self.on_ready: list[str] = []

    def step(self, text: str, fraction: float) -> None:
        self.on_ready.append(text)


def test_two_builders_build_once(monkeypatch: pytest.MonkeyPatch) -> None:
    told, got = Listening(), list[Image]()
    both_looked = threading.Barrier(2, timeout=limit(10))
    the_other_waits = threading.Event()

    def build(_recipe: object, _packages: object, progress: Listening) -> Image:
        progress.step("building", 0.0)
        assert the_other_waits.wait(timeout=limit(10))
        with image_cache.unfinished(image_cache.own_shelf()) as folder:
            return image_cache.publish(folder, fill(folder))

    class Waiting(Listening):
        def step(self, text: str, fraction: float) -> None:
            told.step(text, fraction)
            if text == "waiting for another builder":
                the_other_waits.set()

    # Asked after the shelf was looked at, and before the lock is taken.
    monkeypatch.setattr(store, "distribution", lambda _host: both_looked.wait())
    monkeypatch.setattr(store, "_build", build)
    threads = [threading.Thread(target=lambda: got.append(images.ensure(progress=Waiting()))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=limit(20))
    assert sorted(told.on_ready) == ["building", "waiting for another builder"]
    assert len(got) == 2
    assert got[0] == got[1]


def test_a_shelf_that_may_not_be_read_holds_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    put()

    def closed(*_arguments: object) -> list[Path]:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "glob", closed)
    assert list(image_cache.images()) == []


def test_a_cache_that_cannot_be_made_is_the_users_mistake(cache: Path) -> None:
    cache.write_text("not a folder")
    with pytest.raises(UsageError, match=r"the folder for guest images, .*, cannot be written"):
        put()
