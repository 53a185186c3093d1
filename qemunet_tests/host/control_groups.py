"""Limits that the control groups around this process set, of either version (cgroups(7)).

A container sees its own group as the uppermost. On a host, as below a slice of systemd's, every group on the way up may
have a limit, and the tightest counts.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from qemunet_tests.host.files import MACHINE, read_int, read_text


@dataclass(frozen=True)
class MemoryOfGroup:
    """Of one group, in bytes: the most it may have, and what it has and could not give back at once."""

    limit: int
    held: int


def memory(root: Path = MACHINE) -> list[MemoryOfGroup]:
    """Of each group around this process that has a limit of memory."""
    return [found for folder in _folders("memory", root) if (found := _memory_of(folder, root)) is not None]


def cpus(root: Path = MACHINE) -> int | None:
    """How many processors' time the groups leave this process, rounded up; None where they set no limit."""
    quotas = (_quota(folder, root) for folder in _folders("cpu", root))
    return min((max(1, math.ceil(each)) for each in quotas if each is not None), default=None)


def _memory_of(folder: str, root: Path) -> MemoryOfGroup | None:
    # In version 1 no limit is a number beyond all memory; it does no harm as one.
    for limit, usage, cache in (
        ("memory.max", "memory.current", "inactive_file"),
        ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
    ):
        if (most := read_int(root, f"{folder}/{limit}")) is not None:
            # Files that nobody reads are dropped when memory is wanted.
            rows = (line.split() for line in (read_text(root, f"{folder}/memory.stat") or "").splitlines())
            dropped = sum(int(row[1]) for row in rows if row[0] == cache)
            return MemoryOfGroup(most, max(0, (read_int(root, f"{folder}/{usage}") or 0) - dropped))
    return None


def _quota(folder: str, root: Path) -> float | None:
    """Processors by time: 1.5 where a group may compute 150 of 100 milliseconds."""
    words = (read_text(root, f"{folder}/cpu.max") or "").split()
    quota, period = words if len(words) == 2 else (None, None)
    if quota is None:
        quota, period = (read_text(root, f"{folder}/cpu.cfs_{name}_us") for name in ("quota", "period"))
    # "max" in version 2 and -1 in version 1 mean none.
    return int(quota) / int(period) if quota and period and quota.isdigit() else None


def _folders(controller: str, root: Path) -> Iterator[str]:
    """Where the groups around this process stand that this controller may limit, its own first."""
    ours = dict(_own_groups(root))
    for mounted, top, controllers in _mounts(root):
        # Version 2 has one hierarchy for whatever no hierarchy of version 1 has.
        if controllers and controller not in controllers:
            continue
        place = PurePosixPath(ours.get(controller if controllers else "", ".."))
        # What is mounted need not hold the group, and a namespace not show it: then nothing is known.
        if place.is_relative_to(top) and ".." not in place.parts:
            inner = place.relative_to(top)
            yield from (str(PurePosixPath(mounted, each)) for each in (inner, *inner.parents))


def _own_groups(root: Path) -> Iterator[tuple[str, str]]:
    """By controller this process's group; that of version 2 by the empty name."""
    for line in (read_text(root, "/proc/self/cgroup") or "").splitlines():
        _, controllers, group = line.split(":", 2)
        yield from ((each, group) for each in controllers.split(","))


def _mounts(root: Path) -> Iterator[tuple[str, str, list[str]]]:
    """Where hierarchies are mounted, which group is uppermost there, and their controllers: none in version 2."""
    for line in (read_text(root, "/proc/self/mountinfo") or "").splitlines():
        before, _, behind = line.partition(" - ")
        kind, _, options = behind.split()
        if kind in ("cgroup", "cgroup2"):
            top, mounted = before.split()[3:5]
            yield mounted, top, options.split(",") if kind == "cgroup" else []
