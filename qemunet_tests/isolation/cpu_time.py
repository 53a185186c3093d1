"""What a process and everything that it ever started have spent of the processors: guests, servers, their children."""

import os
import resource
import time
from pathlib import Path

from qemunet_tests.host import process_table

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
    stats = map(process_table.stat, process_table.descendants(os.getpid()))
    alive = sum(stat.cpu_ticks for stat in stats if stat) / _TICKS_PER_SECOND
    return time.process_time() + waited_for.ru_utime + waited_for.ru_stime + alive
