"""What a process and everything that it ever started have spent of the processors: guests, servers, their children."""

import contextlib
import os
import resource
import time
from collections.abc import Iterator
from pathlib import Path

_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


def spent_seconds() -> float | None:
    """CPU seconds of this process until now, and of all its descendants, dead or alive.

    proc(5) tells each process's own time and that of the children it has waited for. Orphans are waited for by the
    first process of the PID namespace, which is a descendant as well; on a real host, which has none, they are missed.
    None where the kernel does not list children (CONFIG_PROC_CHILDREN).
    """
    if not Path("/proc/thread-self/children").exists():
        return None
    waited_for = resource.getrusage(resource.RUSAGE_CHILDREN)
    alive = sum(_ticks(pid) for pid in _descendants(os.getpid())) / _TICKS_PER_SECOND
    return time.process_time() + waited_for.ru_utime + waited_for.ru_stime + alive


def _descendants(pid: int) -> Iterator[int]:
    for thread in _threads(pid):
        for child in _children(thread):
            yield child
            yield from _descendants(child)


def _threads(pid: int) -> list[Path]:
    try:
        return list(Path(f"/proc/{pid}/task").iterdir())
    except OSError:  # It is gone.
        return []


def _children(thread: Path) -> list[int]:
    try:
        return [int(word) for word in (thread / "children").read_text().split()]
    except OSError:
        return []


def _ticks(pid: int) -> int:
    """utime, stime, cutime and cstime; the second field, the program's name, may hold anything."""
    with contextlib.suppress(OSError):
        _, _, fields = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")
        return sum(int(field) for field in fields.split()[11:15])
    return 0
