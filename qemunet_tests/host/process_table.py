"""The processes that this one may see: what they are called, how they were started, which network they are in.

Source: proc(5).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from qemunet_tests.host.files import MACHINE, names_in, read_bytes, read_text, under


@dataclass(frozen=True)
class ProcessStat:
    """`state` is a letter. Times are in ticks of the clock: since the machine booted, and of CPU, waited-for children
    included."""

    state: str
    started_ticks: int
    cpu_ticks: int


def stat(pid: int) -> ProcessStat | None:
    """What /proc/PID/stat says; None where the process is gone."""
    # The second field, the program's name, may hold anything.
    _, _, said = (read_text(MACHINE, f"/proc/{pid}/stat") or "").rpartition(")")
    fields = said.split()
    # From the third field on: state; utime, stime, cutime and cstime; starttime.
    return ProcessStat(fields[0], int(fields[19]), sum(map(int, fields[11:15]))) if fields else None


def descendants(pid: int) -> Iterator[int]:
    """A process's children, whichever thread has started them, and theirs."""
    for thread in names_in(MACHINE, f"/proc/{pid}/task"):
        for child in (read_text(MACHINE, f"/proc/{pid}/task/{thread}/children") or "").split():
            yield int(child)
            yield from descendants(int(child))


def pids(root: Path = MACHINE) -> list[int]:
    """All of them, lowest first."""
    return sorted(int(name) for name in names_in(root, "/proc") if name.isdigit())


def name(pid: int, root: Path = MACHINE) -> str | None:
    """The program's, cut at 15 characters; None where it is gone."""
    return read_text(root, f"/proc/{pid}/comm")


def words(pid: int, root: Path = MACHINE) -> list[str]:
    """The command line; none where it is gone, or nothing but a part of the kernel."""
    said = (read_bytes(root, f"/proc/{pid}/cmdline") or b"").decode(errors="replace").rstrip("\0")
    return said.split("\0") if said else []


def network(pid: int | str = "thread-self", root: Path = MACHINE) -> str | None:
    """The identity of the network namespace, for instance `net:[4026531840]`; None where that may not be known."""
    try:
        return str(under(root, f"/proc/{pid}/ns/net").readlink())
    except OSError:
        return None
