"""What a built image says about itself, and whether it can be believed."""

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from qemunet_tests import trust
from qemunet_tests.errors import HarnessError
from qemunet_tests.images.apt import Package
from qemunet_tests.qemu.built_image import FILES, Image
from qemunet_tests.qemu.guest_profile import GuestProfile

FILE = "manifest.json"
CONTENT = FILES
LIMIT_BYTES = 1 << 20
#: What an image may be called: it is a folder's name, and a word on a command line.
NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"

#: What is shown to whoever lists or exports images: who made one may wish him ill.
Shown = Annotated[str, StringConstraints(pattern=r"^[\x20-\x7e]{0,200}$")]


class FileSum(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    size: int
    sha256: str


class UsedPackage(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Shown
    version: Shown
    sha256: Shown
    #: The source package and its version; images that were built before did not say.
    source: Shown | None = None


class Manifest(BaseModel):
    """`digest` names what went in (`recipe_digest` and `packages`), what came out (`files`) and what whoever boots it
    has to know (`guest`, which images of old versions do not say). The name is not part of it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    qemunet_image: int = 2
    name: str = Field(pattern=NAME)
    digest: Shown
    recipe_digest: Shown
    distribution: Shown
    packages: tuple[UsedPackage, ...]
    files: dict[str, FileSum]
    guest: GuestProfile | None = None

    @property
    def consistent(self) -> bool:
        """Whether it names the files of an image, and itself rightly."""
        named = digest(self.recipe_digest, self.packages, self.files, self.guest)
        return set(self.files) == set(CONTENT) and self.digest == named

    def image(self, folder: Path) -> Image:
        """The image whose files lie in `folder`. Raises HarnessError where it does not say what guest it is."""
        if self.guest is None:
            raise HarnessError(
                f"{folder} was made by another version of qemunet: qemunet image remove {self.digest[:12]}"
            )
        return Image(self.name, self.digest, folder, self.guest)

    def fits(self, folder: Path) -> bool:
        """Whether every file is there with its size: cheap enough for every start."""
        return self.consistent and all(_size(folder / name) == one.size for name, one in self.files.items())

    def damaged(self, folder: Path) -> list[str]:
        """The files whose content is not what was built."""
        return [name for name, one in self.files.items() if not (folder / name).is_file() or _sum(folder / name) != one]


def _size(file: Path) -> int:
    """Negative for what is no file, or cannot be believed."""
    try:
        with trust.opened(file) as stream:
            return os.fstat(stream.fileno()).st_size
    except OSError:
        return -1


def sums(folder: Path) -> dict[str, FileSum]:
    """Of every file an image has. Raises OSError where one is missing."""
    return {name: _sum(folder / name) for name in CONTENT}


def _sum(file: Path) -> FileSum:
    with file.open("rb") as stream:
        return FileSum(size=file.stat().st_size, sha256=hashlib.file_digest(stream, "sha256").hexdigest())


def ingredients(packages: list[Package]) -> tuple[UsedPackage, ...]:
    return tuple(
        UsedPackage(name=one.name, version=one.version, sha256=one.sha256, source=one.source or None)
        for one in sorted(packages)
    )


def digest(
    recipe_digest: str, packages: tuple[UsedPackage, ...], files: Mapping[str, FileSum], guest: GuestProfile | None
) -> str:
    """Changes when anything that went in changes, or a byte of what came out, and only then.

    The same ingredients make the same bytes. That others say so of theirs, imported from them, is no proof.
    """
    lines = [recipe_digest, *(f"{one.name} {one.version} {one.sha256}" for one in packages)]
    lines += [f"{name} {one.size} {one.sha256}" for name, one in sorted(files.items())]
    lines += [guest.model_dump_json()] if guest else []
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def read(folder: Path) -> Manifest | None:
    """None where there is no manifest that makes sense: such a folder is no image."""
    try:
        with trust.opened(folder / FILE) as stream:
            return Manifest.model_validate_json(stream.read(LIMIT_BYTES))
    except (OSError, ValidationError):
        return None
