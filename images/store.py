"""Guest images by name: there, or made now."""

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from qemunet_tests.errors import Unavailable, UsageError
from qemunet_tests.images import DEFAULT, image_cache
from qemunet_tests.images import manifest as manifests
from qemunet_tests.images.apt import Apt, StaleLists
from qemunet_tests.images.distribution import Distribution, distribution, host_release
from qemunet_tests.images.manifest import Manifest
from qemunet_tests.images.progress import Progress, Silent
from qemunet_tests.images.recipes import Recipe, recipe, recipe_names
from qemunet_tests.images.tools import GET_LIBARCHIVE, NoRoom
from qemunet_tests.qemu.built_image import Image
from qemunet_tests.qemu.guest_profile import GuestProfile


@dataclass(frozen=True)
class StoredImage:
    """One image that is there. `current` means that it is of the present recipe and serves on this host."""

    name: str
    digest: str
    folder: Path
    size_bytes: int
    age_seconds: float
    distribution: str
    current: bool


def ensure(name: str = DEFAULT, *, progress: Progress | None = None) -> Image:
    """The image `name`, built now if there is none for the present recipe and distribution.

    Newer packages are no reason to build: a run must not change its guest by itself. `build` asks for them.
    Raises UsageError for an unknown name, Unavailable where nothing can be built, HarnessError where building failed.
    """
    if (found := image_cache.find(image_cache.require(name))) is not None:
        return found
    wanted = recipe(name)
    packages_of = distribution(host_release())
    with _alone(progress or Silent()) as shown:
        # Whoever held the lock may have built it.
        return image_cache.find(name) or _build(wanted, packages_of, shown)


def available(name: str = DEFAULT) -> Image | None:
    """The image that `ensure` would return at once, or None. Raises UsageError for an unknown name."""
    return image_cache.find(image_cache.require(name))


def profile(name: str = DEFAULT) -> GuestProfile:
    """What the guest of that name is, whether its image is built yet or not. Raises UsageError for an unknown name."""
    found = None if name in recipe_names() else image_cache.find(image_cache.require(name))
    return found.guest if found else recipe(name).guest


def build(name: str = DEFAULT, *, progress: Progress | None = None) -> Image:
    """Ask the distribution what is current, and build unless that very image is there. Raises as `ensure` does."""
    if image_cache.require(name) not in recipe_names():
        raise UsageError(f"the guest image {name!r} was imported, and there is no recipe to build it by")
    wanted, packages_of = recipe(name), distribution(host_release())
    with _alone(progress or Silent()) as shown:
        return _build(wanted, packages_of, shown)


def listing() -> list[StoredImage]:
    """Every whole image in the caches, newest first."""
    return sorted((_entry(folder, said) for folder, said in image_cache.images()), key=lambda one: one.age_seconds)


def remove(name_or_digest: str) -> list[StoredImage]:
    """Remove the images of that name, or those whose digest begins so. Raises UsageError if there is none."""
    entries = [one for one in listing() if one.name == name_or_digest]
    entries = entries or [one for one in listing() if name_or_digest and one.digest.startswith(name_or_digest)]
    if not entries:
        raise UsageError(f"there is no built guest image {name_or_digest!r}")
    if foreign := [one for one in entries if not os.access(one.folder.parent, os.W_OK)]:
        raise UsageError(f"{foreign[0].folder} belongs to another user, who has to remove it")
    for entry in entries:
        with image_cache.locked(entry.folder.parent):
            image_cache.take_away(entry.folder)
    return entries


@contextmanager
def _alone(progress: Progress) -> Iterator[Progress]:
    with image_cache.locked(image_cache.own_shelf(), lambda: progress.step("waiting for another builder", 0.0)):
        yield progress


def _entry(folder: Path, said: Manifest) -> StoredImage:
    return StoredImage(
        name=said.name,
        digest=said.digest,
        folder=folder,
        size_bytes=sum(one.size for one in said.files.values()),
        age_seconds=max(0.0, time.time() - image_cache.made_at(folder)),
        distribution=said.distribution,
        current=image_cache.serves(folder, said, image_cache.asked_digest(said.name)),
    )


def _build(wanted: Recipe, packages_of: Distribution, progress: Progress) -> Image:
    try:
        with image_cache.unfinished(image_cache.own_shelf()) as folder:
            apt = Apt(folder / "work")
            try:
                return _build_from(apt, wanted, packages_of, folder, progress)
            except StaleLists:
                apt.fetch_lists()
                return _build_from(apt, wanted, packages_of, folder, progress)
    except (OSError, NoRoom) as failed:
        raise image_cache.unwritable(failed) from failed


def _build_from(apt: Apt, wanted: Recipe, packages_of: Distribution, folder: Path, progress: Progress) -> Image:
    try:
        from qemunet_tests.images import builder
    except (OSError, AttributeError) as missing:
        # Where there is no such library, its functions are looked for in Python itself.
        reason = "a guest image cannot be built here: libarchive is not installed"
        raise Unavailable(reason, GET_LIBARCHIVE) from missing
    progress.step("asking for package versions", 0.0)
    roots = builder.resolve(apt, packages_of)
    recipe_digest = wanted.digest()
    if (same := _same(wanted, recipe_digest, apt, roots.names())) is not None:
        return same
    used = manifests.ingredients(builder.build(wanted, roots, apt, folder, apt.work, progress))
    shutil.rmtree(apt.work)
    files = manifests.sums(folder)
    said = Manifest(
        name=wanted.name,
        digest=manifests.digest(recipe_digest, used, files, wanted.guest),
        recipe_digest=recipe_digest,
        distribution=packages_of.label,
        packages=used,
        files=files,
        guest=wanted.guest,
    )
    image = image_cache.publish(folder, said)
    progress.step("done", 1.0)
    return image


def _same(wanted: Recipe, recipe_digest: str, apt: Apt, roots: set[str]) -> Image | None:
    """An image of this recipe whose every package is still the one that would be taken now."""
    for folder, said in image_cache.images():
        if said.name != wanted.name or not image_cache.serves(folder, said, recipe_digest):
            continue
        names = {one.name for one in said.packages}
        if roots <= names and manifests.ingredients(list(apt.known(names).values())) == said.packages:
            return said.image(folder)
    return None
