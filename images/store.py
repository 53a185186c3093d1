"""Where built images are kept, found, made and removed."""

import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from qemunet_tests.images import manifest as manifests
from qemunet_tests.images.apt import Apt
from qemunet_tests.images.build import build as build_into
from qemunet_tests.images.build import resolve
from qemunet_tests.images.distribution import distribution, host_release
from qemunet_tests.images.manifest import Manifest
from qemunet_tests.images.progress import Progress, Silent
from qemunet_tests.images.recipe import Recipe, recipe

from qemunet_tests.harness.cache import cache_root, readable_caches
from qemunet_tests.harness.deadline import Deadline
from qemunet_tests.harness.errors import UsageError
from qemunet_tests.harness.image import Image

SHELF = "images"
UNFINISHED = ".unfinished-"
IMPORTED = "imported"
LOCK_SECONDS = 1800.0


@dataclass(frozen=True)
class Entry:
    """One image that is there. `current` means that `ensure` would take it."""

    name: str
    digest: str
    folder: Path
    size_bytes: int
    age_seconds: float
    distribution: str
    current: bool


def ensure(name: str = "tiny", *, progress: Progress | None = None) -> Image:
    """The image `name`, built now if there is none for the present recipe and distribution.

    Newer packages are no reason to build: a run must not change its guest by itself. `build` asks for them.
    Raises Unavailable where it cannot be built, HarnessError where building failed.
    """
    wanted = recipe(name)
    if (found := _find(wanted)) is not None:
        return found
    with _locked():
        # Whoever held the lock may have built it.
        return _find(wanted) or _build(wanted, progress or Silent())


def available(name: str = "tiny") -> Image | None:
    """The image that `ensure` would return at once, or None."""
    return _find(recipe(name))


def build(name: str = "tiny", *, progress: Progress | None = None) -> Image:
    """Ask apt what is current, and build unless that very image is there. Raises as `ensure` does."""
    with _locked():
        return _build(recipe(name), progress or Silent())


def listing() -> list[Entry]:
    """Every image in the caches, newest first."""
    return sorted((_entry(folder, said) for folder, said in _images()), key=lambda entry: entry.age_seconds)


def remove(name_or_digest: str) -> list[Entry]:
    """Remove the images of that name, or the one whose digest begins so. Raises UsageError if there is none."""
    entries = [one for one in listing() if one.name == name_or_digest]
    entries = entries or [one for one in listing() if one.digest.startswith(name_or_digest) and name_or_digest]
    if not entries:
        raise UsageError(f"there is no built image called {name_or_digest!r}")
    if foreign := [one for one in entries if not os.access(one.folder.parent, os.W_OK)]:
        raise UsageError(f"{foreign[0].folder} belongs to another user, who has to remove it")
    with _locked():
        for entry in entries:
            # Renamed first: half a removal is no image.
            doomed = entry.folder.with_name(f"{UNFINISHED}{entry.folder.name}")
            entry.folder.rename(doomed)
            shutil.rmtree(doomed)
    return entries


@contextmanager
def unfinished() -> Iterator[Path]:
    """A folder beside the images, for making one; the caller holds the lock. It is gone afterwards."""
    shelf = cache_root() / SHELF
    folder = Path(tempfile.mkdtemp(prefix=UNFINISHED, dir=shelf))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def publish(folder: Path, said: Manifest, *, imported: bool = False) -> Image:
    """Give a finished folder its name, in one step; the caller holds the lock."""
    if imported:
        (folder / IMPORTED).touch()
    (folder / manifests.FILE).write_text(said.model_dump_json(indent=1) + "\n")
    for path in (folder, *folder.iterdir()):
        # QEMU may run as somebody else.
        path.chmod(0o755 if path.is_dir() else 0o644)
        _flush(path)
    place = folder.parent / f"{said.name}-{said.digest[:16]}"
    if place.exists():
        shutil.rmtree(place)
    folder.rename(place)
    _flush(place.parent)
    return Image(said.name, said.digest, place)


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _locked() -> Iterator[None]:
    """One builder at a time. What a killed one left is cleared away, since nobody else can be working on it."""
    shelf = cache_root() / SHELF
    try:
        shelf.mkdir(parents=True, exist_ok=True)
        lock = (shelf / ".lock").open("w")
    except OSError as refused:
        raise UsageError(f"the image cache cannot be written: {refused}") from refused
    for folder in (cache_root(), shelf):
        folder.chmod(0o755)
    with lock:
        Deadline(LOCK_SECONDS, "another builder of guest images").wait_until(lambda: _try_lock(lock.fileno()))
        for left in shelf.glob(f"{UNFINISHED}*"):
            shutil.rmtree(left, ignore_errors=True)
        yield


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _images() -> Iterator[tuple[Path, Manifest]]:
    for cache in readable_caches():
        for folder in sorted((cache / SHELF).glob("[!.]*")):
            said = manifests.read(folder)
            if said is not None and said.fits(folder):
                yield folder, said


def _entry(folder: Path, said: Manifest) -> Entry:
    return Entry(
        name=said.name,
        digest=said.digest,
        folder=folder,
        size_bytes=sum(one.size for one in said.files.values()),
        age_seconds=max(0.0, time.time() - (folder / manifests.FILE).stat().st_mtime),
        distribution=said.distribution,
        current=_is_current(folder, said, recipe(said.name).digest()),
    )


def _is_current(folder: Path, said: Manifest, recipe_digest: str) -> bool:
    here = said.distribution == host_release().label or (folder / IMPORTED).exists()
    return here and said.recipe_digest == recipe_digest


def _find(wanted: Recipe) -> Image | None:
    """The newest; one that was built for this distribution before one that was imported."""
    recipe_digest = wanted.digest()
    fitting = [
        ((folder / IMPORTED).exists(), -(folder / manifests.FILE).stat().st_mtime, folder, said.digest)
        for folder, said in _images()
        if said.name == wanted.name and _is_current(folder, said, recipe_digest)
    ]
    if not fitting:
        return None
    *_, folder, digest = min(fitting)
    return Image(wanted.name, digest, folder)


def _build(wanted: Recipe, progress: Progress) -> Image:
    packages_of = distribution(host_release())
    recipe_digest = wanted.digest()
    with unfinished() as folder:
        work = folder / "work"
        apt = Apt(work)
        progress.step("asking for package versions", 0.0)
        roots = resolve(apt, packages_of)
        if (same := _same_packages(wanted, recipe_digest, apt, roots.names())) is not None:
            return same
        used = manifests.ingredients(build_into(wanted, roots, apt, folder, work, progress))
        shutil.rmtree(work)
        said = Manifest(
            name=wanted.name,
            digest=manifests.digest(recipe_digest, used),
            recipe_digest=recipe_digest,
            distribution=packages_of.label,
            packages=used,
            files={name: sum_ for name in manifests.CONTENT if (sum_ := manifests.sum_of(folder / name))},
        )
        image = publish(folder, said)
    progress.step("done", 1.0)
    return image


def _same_packages(wanted: Recipe, recipe_digest: str, apt: Apt, roots: set[str]) -> Image | None:
    """An image of this recipe whose every package is still the one apt would take now."""
    for folder, said in _images():
        if said.name != wanted.name or said.recipe_digest != recipe_digest:
            continue
        names = {one.name for one in said.packages}
        now = apt.known(names)
        if roots <= names and manifests.ingredients(list(now.values())) == said.packages:
            return Image(said.name, said.digest, folder)
    return None
