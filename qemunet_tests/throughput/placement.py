"""Which CPUs the measured processes may use. It is part of the configuration: ratios change with it."""

import contextlib
import os
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

PLACEMENTS = {
    "one": "QEMU, its helpers and the server on one CPU",
    "split": "the guest's CPU on one, QEMU's main loop, helpers and server on another",
    "free": "wherever the kernel puts them",
}


class Placement:
    """Pins processes. The recorder itself stays off the CPUs that are measured where there is another."""

    def __init__(self, kind: str) -> None:
        usable = sorted(os.sched_getaffinity(0))
        self.kind = kind if len(usable) > 1 or kind == "free" else "one"
        self._all = usable
        self._main = usable if self.kind == "free" else usable[-1:]
        self._guest = usable[-2:-1] if self.kind == "split" else self._main

    @property
    def main_cpus(self) -> list[int]:
        return list(self._main)

    def describe(self) -> dict[str, object]:
        return {"kind": self.kind, "main_cpus": list(self._main), "guest_cpus": list(self._guest)}

    def __str__(self) -> str:
        if self.kind == "free":
            return "threads free"
        if self.kind == "split":
            return f"guest on CPU {self._guest[0]}, the rest on CPU {self._main[0]}"
        return f"all on CPU {self._main[0]}"

    def step_aside(self) -> None:
        """Keep the calling process away from the measured CPUs."""
        others = [cpu for cpu in self._all if cpu not in self._main] if self.kind == "one" else []
        if others:
            os.sched_setaffinity(0, others)

    def pin(self, pids: Iterable[int], processors: Collection[int] = ()) -> None:
        """Pin every thread of these processes. `processors` are those that run guests, as QEMU numbers its threads."""
        for pid in pids:
            for thread, own_number in threads(pid).items():
                # A thread may end in this moment.
                with contextlib.suppress(ProcessLookupError):
                    os.sched_setaffinity(thread, self._guest if own_number in processors else self._main)

    def prefix(self) -> list[str]:
        """Command words that start what follows on the main CPUs."""
        return ["taskset", "-c", ",".join(map(str, self._main))]


def threads(pid: int) -> Mapping[int, int]:
    """The threads of a process by their ids, with those that they have in the innermost PID namespace of theirs."""
    found = {}
    for task in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(OSError):
            status = (task / "status").read_text()
            found[int(task.name)] = int(status.partition("NSpid:")[2].split("\n", 1)[0].split()[-1])
    return found
