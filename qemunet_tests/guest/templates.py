"""The shelf of templates: found, made under a lock, checked, and put where guests can be thawed from them."""

import contextlib
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from qemunet_tests import cache, trust
from qemunet_tests.cache import cache_root
from qemunet_tests.errors import HarnessError, UsageError
from qemunet_tests.guest import template
from qemunet_tests.guest.template import Template
from qemunet_tests.isolation.identity import Identity
from qemunet_tests.isolation.shared_files import made_once
from qemunet_tests.lock import locked
from qemunet_tests.qemu.guest_machine import GuestMachine

SHELF = "templates"
UNFINISHED = ".unfinished-"
LOCK_SECONDS = 300.0

#: Boots a guest with these NIC models, saves it, ends it, and returns the folder with its memory and state.
Maker = Callable[[tuple[str, ...]], Path]


@dataclass(frozen=True)
class TemplateEntry:
    """One template that is there; without a word `about` it, a damaged one."""

    name: str
    folder: Path
    about: dict[str, str]
    models: tuple[str, ...]
    size_bytes: int
    age_seconds: float


class Templates:
    """What one worker thaws from; its files are those of all workers of the run.

    `make` makes a template where there is none; `note` is told, once, why guests boot cold instead.
    """

    def __init__(self, machine: GuestMachine, owner: Identity, make: Maker, note: Callable[[str], None]) -> None:
        self._machine = machine
        self._owner = owner
        self._make = make
        self._note = note
        self._taken: dict[tuple[str, ...], Template | None] = {}
        self.making_seconds = 0.0

    def take(self, models: tuple[str, ...]) -> Template | None:
        """The template for guests with these NICs; None where there can be none, and they have to boot."""
        if models not in self._taken:
            began_seconds = time.monotonic()
            try:
                self._taken[models] = self._placed(models)
            except (HarnessError, OSError) as error:
                self.give_up(models, error)
            self.making_seconds += time.monotonic() - began_seconds
        return self._taken[models]

    def give_up(self, models: tuple[str, ...], why: Exception) -> None:
        """Boot guests with these NICs cold from now on."""
        self._taken[models] = None
        self._note(f"guests with {' and '.join(models) or 'no NIC'} boot cold: {str(why).splitlines()[0]}")

    def _placed(self, models: tuple[str, ...]) -> Template:
        name = template.key(self._machine, models)
        return Template(made_once(f"template-{name}", lambda folder: self._place(name, models, folder)), models)

    def _place(self, name: str, models: tuple[str, ...], folder: Path) -> None:
        source = self._found(name)
        if source is None:
            with _locked():
                source = self._found(name) or self._made(name, models)
        try:
            taken = template.copy(source, folder)
        except template.TemplateDamaged:
            # Whoever comes next makes it anew, if it can be taken away.
            with contextlib.suppress(OSError):
                _take_away(source)
            raise
        # QEMU opens the memory for writing even where it maps a private copy.
        for file in (taken.memory, taken.state):
            self._owner.owns(file)

    @staticmethod
    def _found(name: str) -> Path | None:
        return next((folder for folder in cache.entries(SHELF, name) if _is_whole(folder)), None)

    def _made(self, name: str, models: tuple[str, ...]) -> Path:
        made = self._make(models)
        unfinished = cache_root() / SHELF / f"{UNFINISHED}{name}"
        try:
            template.store(made, unfinished, models, self._about(), self._owner.uid)
            unfinished.chmod(0o755)
            for file in unfinished.iterdir():
                file.chmod(0o644)
            os.sync()
            _take_away(unfinished.with_name(name))
            return unfinished.rename(unfinished.with_name(name))
        finally:
            for folder in (made, unfinished):
                shutil.rmtree(folder, ignore_errors=True)

    def _about(self) -> dict[str, str]:
        qemu, image = self._machine.qemu, self._machine.image
        return {
            "qemu": qemu.version,
            "machine": qemu.machine,
            "accel": self._machine.accel.used,
            "image": f"{image.name} {image.digest}",
        }


def listing() -> list[TemplateEntry]:
    """The templates of this user and those that root shares, newest first; damaged ones, too."""
    entries = (_entry(folder) for folder in cache.entries(SHELF))
    return sorted((entry for entry in entries if entry), key=lambda entry: entry.age_seconds)


def _is_whole(folder: Path) -> bool:
    """Whether it has every file, and nobody else can have put one there."""
    files = [folder / name for name in (template.MANIFEST, template.MEMORY, template.STATE, template.CONSOLE)]
    return all(file.is_file() and trust.against_entry(file) is None for file in files)


def _entry(folder: Path) -> TemplateEntry | None:
    """None where it is gone meanwhile."""
    try:
        size_bytes = sum(file.stat().st_blocks * 512 for file in folder.iterdir())
        age_seconds = max(0.0, time.time() - folder.stat().st_mtime)
    except OSError:
        return None
    try:
        with trust.opened(folder / template.MANIFEST) as stream:
            said = json.load(stream)
        about, models = dict(said["about"]), tuple(said["models"])
    except (OSError, ValueError, KeyError, TypeError):
        about, models = {}, ()
    return TemplateEntry(folder.name, folder, about, models, size_bytes, age_seconds)


def remove(beginning: str) -> list[TemplateEntry]:
    """Remove the templates whose names begin so, and say which; an empty beginning is that of every name.

    Raises UsageError where one is another user's, or cannot be removed.
    """
    found = [entry for entry in listing() if entry.name.startswith(beginning)]
    if foreign := [entry for entry in found if not os.access(entry.folder.parent, os.W_OK)]:
        raise UsageError(f"{foreign[0].folder} belongs to another user, who has to remove it")
    for entry in found:
        try:
            _take_away(entry.folder)
        except OSError as refused:
            raise UsageError(f"{entry.folder} cannot be removed: {refused.strerror}") from refused
    return found


def _take_away(folder: Path) -> None:
    """Remove a template, if it is there: first its name, because half a removal is no template. Raises OSError."""
    doomed = folder.with_name(f"{UNFINISHED}{folder.name}-{os.getpid()}")
    with contextlib.suppress(FileNotFoundError):
        folder.rename(doomed)
        shutil.rmtree(doomed)


@contextmanager
def _locked() -> Iterator[None]:
    """One maker at a time. What a killed one left is cleared away, since nobody else can be working on it."""
    shelf = cache.make(SHELF)
    with locked(shelf / ".lock", LOCK_SECONDS, "another maker of templates"):
        for left in shelf.glob(f"{UNFINISHED}*"):
            shutil.rmtree(left, ignore_errors=True)
        yield
