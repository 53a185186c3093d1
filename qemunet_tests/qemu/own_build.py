"""Builds of the caller's own, tried in place of what is installed: looked at here, before anything runs."""

import os
from dataclasses import asdict, dataclass
from pathlib import Path

from qemunet_tests import trust
from qemunet_tests.errors import UsageError
from qemunet_tests.host import elf_file, paths_in_binary
from qemunet_tests.host.elf_file import ElfFile

#: What every libslirp offers; QEMU makes its network with it.
_LIBSLIRP_OFFERS = "slirp_new"
#: What the bridge helper reads, wherever that is.
_HELPER_READS = "/bridge.conf"


@dataclass(frozen=True)
class OwnBuild:
    """`build` is the linker's number of it, because most builds that are tried bear the same `version`."""

    path: Path
    version: str | None
    build: str | None
    instead_of: str

    def describe(self) -> dict[str, str | None]:
        """For results.json."""
        return {**asdict(self), "path": str(self.path)}


def libslirp(file: Path, option: str) -> Path:
    """The file behind the name, where it can be a libslirp for the QEMUs of this machine. Raises UsageError."""
    found, place = _elf(file, option)
    if found.kind != "ET_DYN" or not found.exports:
        raise UsageError(f"{option}: {str(file)!r} is not a shared library")
    if _LIBSLIRP_OFFERS not in found.exports:
        raise UsageError(f"{option}: {str(file)!r} is not libslirp: it has no {_LIBSLIRP_OFFERS}()")
    return place


def program(file: Path, option: str) -> Path:
    """The same for a program. Raises UsageError."""
    found, place = _elf(file, option)
    if found.kind not in ("ET_DYN", "ET_EXEC"):
        raise UsageError(f"{option}: {str(file)!r} is not a program")
    if not os.access(place, os.X_OK):
        raise UsageError(f"{option}: {str(file)!r} is not executable")
    return place


def bridge_helper(file: Path, option: str) -> Path:
    """The same for a bridge helper, which has the place of its access list in it. Raises UsageError."""
    place = program(file, option)
    if paths_in_binary.path_ending(str(place), _HELPER_READS) is None:
        raise UsageError(f"{option}: {str(file)!r} is not qemu-bridge-helper: it reads no {_HELPER_READS[1:]}")
    return place


def build_of(file: Path) -> str | None:
    """The linker's number of the build. None where it has none."""
    found = elf_file.read(file)
    return found.build_id if found else None


def _elf(file: Path, option: str) -> tuple[ElfFile, Path]:
    place = file.resolve()
    if not place.exists():
        raise UsageError(f"{option}: there is no {str(file)!r}")
    if not place.is_file():
        raise UsageError(f"{option}: {str(file)!r} is not a file")
    if why := _distrusted(file, place):
        raise UsageError(f"{option}: root does not execute {str(file)!r}, which others can have written: {why}")
    try:
        found = elf_file.read(place)
    except OSError as refused:
        raise UsageError(f"{option}: {str(file)!r} cannot be read: {refused.strerror}") from None
    if found is None:
        raise UsageError(f"{option}: {str(file)!r} is neither a program nor a shared library")
    if not elf_file.is_for_this_machine(found):
        raise UsageError(f"{option}: {str(file)!r} was built for another processor ({found.machine}, {found.bits} bit)")
    return found, place


def _distrusted(file: Path, place: Path) -> str | None:
    """Root executes what belongs to root; whatever an ordinary user executes is his own affair."""
    if os.geteuid() != 0:
        return None
    return trust.against_the_way_to(file) or trust.against_the_way_to(place) or trust.against(place)
