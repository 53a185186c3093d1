"""What processes and the machine have spent of their processors, and what else was going on."""

import os
import random
import time
from collections.abc import Collection, Iterable
from pathlib import Path

#: What the probe sorts: branches that nobody can predict in a table that shares its cache with others.
PROBE_ITEMS, PROBE_ROUNDS = 20_000, 3
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
IDLE = ("idle", "iowait", "waiting_us")


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


class Meter:
    """What the machine does from now on."""

    def __init__(self) -> None:
        self._before, self._began, self._own = machine(), time.monotonic(), time.process_time()

    def since(self, ours_cpu_seconds: float) -> dict[str, float]:
        """Ticks by use and PSI, how many CPUs were busy with what is neither `ours` nor this process, and the load."""
        passed = max(time.monotonic() - self._began, 0.01)
        now = machine()
        found = {name: round(now[name] - value, 3) for name, value in self._before.items() if name in now}
        busy = sum(ticks for name, ticks in found.items() if name not in IDLE) / TICKS_PER_SECOND
        others = busy - ours_cpu_seconds - (time.process_time() - self._own)
        return {**found, "others_cpus": round(max(others, 0.0) / passed, 3), "load": round(os.getloadavg()[0], 2)}


def probe_us(cpus: Collection[int]) -> float:
    """How long fixed work takes on these CPUs right now, in microseconds, the best of a few.

    Whoever shares the core with this machine from outside is seen by no counter, only by work of the same kind: such
    a probe was found to follow goodput (r = 0.9).
    """
    items = list(range(PROBE_ITEMS))
    random.Random(1).shuffle(items)
    before, taken = os.sched_getaffinity(0), []
    os.sched_setaffinity(0, cpus)
    try:
        for _ in range(PROBE_ROUNDS):
            began = time.perf_counter()
            sorted(items)
            taken.append(time.perf_counter() - began)
    finally:
        os.sched_setaffinity(0, before)
    return round(min(taken) * 1e6, 1)
