"""What processes and the machine have spent of their processors."""

import time
from collections.abc import Iterable
from pathlib import Path


def seconds(pids: Iterable[int]) -> float:
    """CPU seconds of these processes so far, ended threads included. A process that is gone counts nothing.

    The kernel's clock of a process, as clock_getcpuclockid(3) names it: nanoseconds instead of ticks.
    """
    total = 0.0
    for pid in pids:
        try:
            total += time.clock_gettime((~pid << 3) | 2)
        except OSError:
            continue
    return total


def machine() -> dict[str, float]:
    """Ticks of all processors since boot, by use, and how long somebody waited for one (PSI), in microseconds."""
    words = Path("/proc/stat").read_text().splitlines()[0].split()
    busy = dict(zip(("user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal"), words[1:9], strict=True))
    counted = {name: float(ticks) for name, ticks in busy.items()}
    try:
        pressure = Path("/proc/pressure/cpu").read_text().split()
        counted["waiting_us"] = float(pressure[4].partition("=")[2])
    except (OSError, IndexError, ValueError):
        pass
    return counted


def difference(before: dict[str, float], after: dict[str, float]) -> dict[str, float]:
    return {name: round(after[name] - value, 3) for name, value in before.items() if name in after}
