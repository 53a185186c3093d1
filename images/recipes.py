"""What a guest image is made of, read from the recipe's folder."""

import hashlib
import tomllib
from functools import cache
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from qemunet_tests.errors import HarnessError, UsageError
from qemunet_tests.qemu.guest_profile import GuestProfile

SHELF = Path(__file__).parent
# The modules of this package that decide what an image contains: a change in one is a change of the image.
SHAPING_SOURCES = (
    "builder.py", "busybox.py", "disk.py", "elf.py", "initramfs.py", "kernel.py", "libraries.py", "packages.py",
    "vmlinux.py",
)  # fmt: skip


class Recipe(BaseModel):
    """One guest image. `disk_programs` are on its disk, too, which the BIOS reads slowly."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    disk_mb: int
    modules: tuple[str, ...]
    programs: dict[str, tuple[str, ...]]
    disk_programs: tuple[str, ...]
    guest: GuestProfile
    extra_libraries: tuple[str, ...] = ()

    @property
    def folder(self) -> Path:
        return SHELF / self.name

    @property
    def root(self) -> Path:
        """The files that go into the guest as they are, laid out as there."""
        return self.folder / "root"

    def guest_files(self) -> dict[str, Path]:
        """Path in the guest, without the leading slash, and the file here."""
        return {str(path.relative_to(self.root)): path for path in sorted(self.root.rglob("*")) if path.is_file()}

    def digest(self) -> str:
        """Names everything of ours that shapes the image: the recipe, the guest's files, the builder."""
        summary = hashlib.sha256()
        ours = {f"builder/{name}": SHELF / name for name in SHAPING_SOURCES}
        ours |= {"recipe.toml": self.folder / "recipe.toml", "distributions.toml": SHELF / "distributions.toml"}
        ours |= {f"root/{name}": path for name, path in self.guest_files().items()}
        for name, path in sorted(ours.items()):
            content = path.read_bytes()
            summary.update(f"{name} {len(content)}\n".encode())
            summary.update(content)
        return summary.hexdigest()


def recipe_names() -> list[str]:
    return sorted(path.parent.name for path in SHELF.glob("*/recipe.toml"))


@cache
def recipe(name: str) -> Recipe:
    """The recipe in the folder `name`. Raises UsageError if there is none."""
    file = SHELF / name / "recipe.toml"
    if name not in recipe_names():
        raise UsageError(f"there is no guest image called {name!r}; there is: {', '.join(recipe_names())}")
    try:
        return Recipe(name=name, **tomllib.loads(file.read_text()))
    except (tomllib.TOMLDecodeError, ValidationError, TypeError) as wrong:
        raise HarnessError(f"the recipe of the guest image {name!r} is wrong: {wrong}") from wrong
