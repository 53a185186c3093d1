"""Memory and disk space left for guests."""

import os
import resource
from dataclasses import dataclass
from pathlib import Path

from qemunet_tests.host import control_groups
from qemunet_tests.host.files import MACHINE, read_text, under

_MIB = 1024 * 1024


@dataclass(frozen=True)
class Memory:
    """In MiB; a control group's limit counts as the total."""

    total_mb: int
    available_mb: int


@dataclass(frozen=True)
class Disk:
    """Space for `path`, in MiB, where it or the nearest folder above it lies."""

    path: str
    free_mb: int
    writable: bool


@dataclass(frozen=True)
class MemoryLimit:
    """How many bytes a process may have of something, and the shell's command that lifts that; setrlimit(2)."""

    what: str
    bytes: int
    name: str
    lift: str


#: A hard limit can only be lifted where it was set.
_LIMITS = (
    ("addresses", "RLIMIT_AS", resource.RLIMIT_AS, "ulimit -v unlimited"),
    ("data", "RLIMIT_DATA", resource.RLIMIT_DATA, "ulimit -d unlimited"),
)


def memory_limits() -> list[MemoryLimit]:
    """The limits of memory that this process hands on to all that it starts."""
    found = ((what, resource.getrlimit(number)[0], name, lift) for what, name, number, lift in _LIMITS)
    return [MemoryLimit(*limit) for limit in found if limit[1] != resource.RLIM_INFINITY]


def memory(root: Path = MACHINE) -> Memory:
    """What the kernel says is left, and what this process's control groups may still take of it."""
    lines = (line.split() for line in (read_text(root, "/proc/meminfo") or "").splitlines())
    kilobytes = {words[0].rstrip(":"): int(words[1]) for words in lines if len(words) > 1}
    total = kilobytes.get("MemTotal", 0) // 1024
    available = kilobytes.get("MemAvailable", kilobytes.get("MemFree", 0)) // 1024
    groups = control_groups.memory(root)
    total = min([total, *(each.limit // _MIB for each in groups)])
    return Memory(total, max(0, min([available, *((each.limit - each.held) // _MIB for each in groups)])))


def disk(path: Path, root: Path = MACHINE) -> Disk:
    """Space for a folder that need not exist yet."""
    place = under(root, str(path))
    while not place.exists() and place != place.parent:
        place = place.parent
    try:
        found = os.statvfs(place)
    except OSError:
        return Disk(str(path), 0, writable=False)
    return Disk(str(path), found.f_bavail * found.f_frsize // _MIB, os.access(place, os.W_OK))
