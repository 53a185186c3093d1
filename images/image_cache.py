"""The folder of built images: finding what can be trusted, and adding to it so that nothing half is ever trusted."""

import contextlib
import errno
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from qemunet_tests import cache
from qemunet_tests.errors import HarnessError, UsageError
from qemunet_tests.images import manifest as manifests
from qemunet_tests.images.distribution import host_release
from qemunet_tests.images.manifest import Manifest
from qemunet_tests.images.recipes import recipe, recipe_names
from qemunet_tests.lock import locked as hold
from qemunet_tests.qemu.built_image import Image

NAME = "images"
UNFINISHED = ".unfinished-"
# Marks an image that came from another host, and therefore serves on every distribution.
IMPORTED = "imported"
LOCK_SECONDS = 1800.0
#: Packages, what they hold, and the image itself.
ROOM_MB = 500


def own_shelf() -> Path:
    """Where this user's images are made. It need not exist."""
    return cache.cache_root() / NAME


def images() -> Iterator[tuple[Path, Manifest]]:
    """Every image that is whole, as far as sizes tell."""
    for folder in cache.entries(NAME):
        said = manifests.read(folder)
        if said is not None and said.fits(folder):
            yield folder, said


def made_at(folder: Path) -> float:
    """Seconds since the epoch."""
    return (folder / manifests.FILE).stat().st_mtime


def asked_digest(name: str) -> str | None:
    """The recipe that an image of this name has to be of; None for a name without one, whose images were imported."""
    return recipe(name).digest() if name in recipe_names() else None


def serves(folder: Path, said: Manifest, recipe_digest: str | None) -> bool:
    """Whether an image is what the recipe of its name, where there is one, asks for on this host."""
    here = said.distribution == host_release().label or (folder / IMPORTED).exists()
    return here and said.guest is not None and recipe_digest in (None, said.recipe_digest)


def find(name: str) -> Image | None:
    """The newest image of this name that serves; one that was built for this distribution before one imported."""
    recipe_digest = asked_digest(name)
    fitting = [
        ((folder / IMPORTED).exists(), -made_at(folder), folder, said)
        for folder, said in images()
        if said.name == name and serves(folder, said, recipe_digest)
    ]
    if not fitting:
        return None
    *_, folder, said = min(fitting, key=lambda one: one[:2])
    return said.image(folder)


def names() -> list[str]:
    """All that can be asked for: what there is a recipe for, and what was imported under a name of its own."""
    return sorted({*recipe_names(), *(said.name for folder, said in images() if serves(folder, said, None))})


def require(name: str) -> str:
    """The name. Raises UsageError where nothing can be asked for by it."""
    if name not in recipe_names() and name not in (known := names()):
        raise UsageError(f"there is no guest image called {name!r}; there is: {', '.join(known)}")
    return name


@contextmanager
def locked(shelf: Path, on_waiting: Callable[[], None] = lambda: None) -> Iterator[None]:
    """One builder at a time. What a killed one left is cleared away: nobody else can be working on it.

    `on_waiting` is called once where somebody else is building. Raises UsageError where the folder cannot be
    written, TimedOut where the other builder takes too long.
    """
    with contextlib.ExitStack() as held:
        try:
            _make_readable_by_all(shelf.parent)
            _make_readable_by_all(shelf)
            held.enter_context(hold(shelf / ".lock", LOCK_SECONDS, "another builder of guest images", on_waiting))
        except OSError as refused:
            raise UsageError(
                f"the folder for guest images, {shelf}, cannot be written: {refused.strerror}; name another in "
                "QEMUNET_CACHE"
            ) from refused
        for left in shelf.glob(f"{UNFINISHED}*"):
            shutil.rmtree(left, ignore_errors=True)
        yield


def _make_readable_by_all(folder: Path) -> None:
    """Leaves a folder that is there already as it is."""
    if not folder.is_dir():
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o755)


@contextmanager
def unfinished(shelf: Path) -> Iterator[Path]:
    """A folder for making an image in; the caller holds the lock. What is still there afterwards is removed."""
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
    for path in (*folder.iterdir(), folder):
        # QEMU may run as somebody else.
        path.chmod(0o755 if path.is_dir() else 0o644)
        _flush(path)
    place = folder.with_name(f"{said.name}-{said.digest[:16]}")
    take_away(place)
    folder.rename(place)
    _flush(place.parent)
    return said.image(place)


def unwritable(failed: Exception) -> HarnessError:
    """Why an image could not be written, and what helps where the disk is full."""
    if isinstance(failed, OSError) and failed.errno not in (errno.ENOSPC, errno.EDQUOT):
        return HarnessError(f"the guest image could not be written: {failed}")
    why = failed.strerror if isinstance(failed, OSError) else str(failed)
    return HarnessError(
        f"there is no room for the guest image in {own_shelf()}: {why}; free some (it takes {ROOM_MB} MB while it is "
        "built), or name another folder in QEMUNET_CACHE"
    )


def take_away(place: Path) -> None:
    """Remove an image, first its name: half a removal is no image. The caller holds the lock."""
    if place.exists():
        doomed = place.with_name(f"{UNFINISHED}{place.name}")
        place.rename(doomed)
        shutil.rmtree(doomed)


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
