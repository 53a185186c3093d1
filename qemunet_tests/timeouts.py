"""How patient to be: with an accelerator, and with a machine that has much else to do just then.

How busy a machine is never decides a verdict. It only decides how long we wait before we say that nothing comes.
"""

import contextlib
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

#: So much computing tells how many others want the same CPU: several turns of the kernel's scheduler, of 3 ms each.
PROBE_CPU_SECONDS = 0.02
#: Programs of ours that have wanted a CPU for less, since they were last looked at, tell nothing: they were idle.
LEAST_WANTED_SECONDS = 0.5
#: What those that got no CPU at all are taken to have got.
LEAST_CPU_SECONDS = 0.02
#: An answer about the machine's pace is good for so long.
FRESH_SECONDS = 2.0
#: Whoever is slower than this is waited for no longer: 64 programs that want one of two CPUs.
LARGEST_CROWDING = 32.0
#: Who waited in proportion, as exactly as this, need not wait again.
SAME = 1.25


@dataclass(frozen=True)
class Pace:
    """Limits are written down for KVM, and grow with the accelerator's slowdown."""

    slowdown: float = 1.0

    def seconds(self, under_kvm: float) -> float:
        return under_kvm * self.slowdown


class Stretched(float):
    """Seconds that allow for a busy machine already: nobody allows for it once more."""


#: What each process had run and waited when it was last looked at.
_looked_at: dict[Path, tuple[int, int]] = {}


def crowding() -> float:
    """How many times longer than alone a program computes here just now, 1 on an idle machine. Costs 20 ms of CPU.

    Either this process, as it is tried, or what it has started, as the kernel has counted since: shares may be unequal.
    """
    return _crowding(int(time.monotonic() / FRESH_SECONDS))


@lru_cache(maxsize=1)
def _crowding(_: int) -> float:
    return min(LARGEST_CROWDING, max(1.0, _own(), _of(_children())))


def _own() -> float:
    began, worked = time.monotonic(), time.thread_time()
    while time.thread_time() - worked < PROBE_CPU_SECONDS:
        sum(range(1000))
    return (time.monotonic() - began) / (time.thread_time() - worked)


def _children() -> list[Path]:
    """Guests and whatever else this process has started and is alive."""
    found: list[Path] = []
    for thread in Path("/proc/self/task").iterdir():
        with contextlib.suppress(OSError):  # a kernel that does not tell, or a thread that has ended
            found += [Path("/proc", pid) for pid in (thread / "children").read_text().split()]
    return found


def _of(processes: Iterable[Path]) -> float:
    """How many times longer than alone these took together since they were last looked at, or since they were started.

    By what their threads have run and waited to run, both in ns; source: the kernel's
    Documentation/scheduler/sched-stats.rst, /proc/PID/schedstat.
    """
    got = wanted = 0
    for process in processes:
        ran = waited = 0
        for thread in process.glob("task/*/schedstat"):
            with contextlib.suppress(OSError, ValueError):
                words = thread.read_text().split()
                ran, waited = ran + int(words[0]), waited + int(words[1])
        ran_before, waited_before = _looked_at.get(process, (0, 0))
        _looked_at[process] = ran, waited
        got, wanted = got + ran - ran_before, wanted + ran + waited - ran_before - waited_before
    return wanted / max(got, LEAST_CPU_SECONDS * 1e9) if wanted >= LEAST_WANTED_SECONDS * 1e9 else 1.0


def turns(wait_seconds: float, again: bool = True) -> Iterator[float]:
    """How long to wait for an answer, and then how long once more, for whoever got none.

    A single question may get lost, and on a busy machine its answer may come when nobody waits any more. So whoever
    goes on gets a second turn, longer as the machine is slower, and a third where it has become slower yet. Without
    `again`, for questions whose answer is often no, there is a second turn only where the machine is slow. A wait of no
    length is a look at what is there: it has one turn, as has one that is a later turn of somebody else's.
    """
    yield wait_seconds
    waited = 0.0 if again else wait_seconds
    for _ in range(0 if not wait_seconds or isinstance(wait_seconds, Stretched) else 2):
        longer = wait_seconds * crowding()
        if longer < waited * SAME:
            return
        waited = longer
        yield Stretched(longer)


def whole(seconds: float) -> int:
    """For programs that take no fractions: at least a second."""
    return max(1, round(seconds))
