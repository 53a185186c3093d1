"""How a run grows: claims x workers, in seconds, CPU seconds and memory; and on machines of other sizes, by simulation.

    ./bootstrap python benchmarks/run_scale.py [--claims 50,100,200,all] [--workers 1,2,4,8,16] [--out DIR]
    ./bootstrap python benchmarks/run_scale.py --simulate RESULTS.JSON

Real runs of `qemunet run`, one after the other, of every n-th claim. Memory is the sum of PSS, each page counted once,
of everything the run has started, at its highest of one look a second. The simulation has the tests of a real run, of
which each needs its CPU seconds and waits for the rest of its time, take turns on 1 to 64 CPUs.

JSON on standard output; DIR gets scale.json and scale.svg too. It records and never fails by time.
"""

import argparse
import contextlib
import heapq
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from qemunet_tests.commands.worker_count import default_workers

LOOK_SECONDS = 1.0
MIB_IN_KIB = 1024
SIMULATED_CPUS = (1, 2, 4, 8, 16, 32, 64)
AMPLE_MB = 1 << 20


@dataclass(frozen=True)
class ScaleSample:
    """One run. `peak_mb` is the highest sum of PSS, `guests_mb` the part of QEMU's processes in it."""

    claims: int
    workers: int
    seconds: float
    cpu_seconds: float
    peak_mb: float
    guests_mb: float
    exit_code: int


@dataclass(frozen=True)
class TestCost:
    """What a test needs of a CPU, and how long it waits besides, in seconds."""

    cpu: float
    waits: float


def tested_claims() -> list[str]:
    """All claims that a test cites, in the order of their tables."""
    told = subprocess.run(_qemunet("claims", "--json"), check=True, capture_output=True, text=True)
    return [each["id"] for each in json.loads(told.stdout)["claims"] if each["tests"]]


def every_nth(claims: list[str], wanted: str) -> list[str]:
    """So many of them, spread over all modes and topics."""
    count = len(claims) if wanted == "all" else min(int(wanted), len(claims))
    return [claims[at * len(claims) // count] for at in range(count)]


def measured(claims: list[str], workers: int, all_claims: int) -> ScaleSample:
    """A real run."""
    chosen = [] if len(claims) == all_claims else claims
    began, before = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
    run = subprocess.Popen(_qemunet("run", "-n", str(workers), *chosen), stdout=subprocess.DEVNULL)
    peak, guests = 0.0, 0.0
    while run.poll() is None:
        total, of_guests = memory_mb(run.pid)
        if total > peak:
            peak, guests = total, of_guests
        with contextlib.suppress(subprocess.TimeoutExpired):
            run.wait(LOOK_SECONDS)
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = spent.ru_utime + spent.ru_stime - before.ru_utime - before.ru_stime
    seconds = time.monotonic() - began
    return ScaleSample(
        len(claims), workers, round(seconds, 1), round(cpu, 1), round(peak), round(guests), run.returncode
    )


def _qemunet(*words: str) -> list[str]:
    return [sys.executable, "-m", "qemunet_tests", *words]


def memory_mb(root: int) -> tuple[float, float]:
    """The PSS of a process and all below it, and that of the QEMUs among them."""
    family = list(_family(root))
    sizes = [(_pss_mb(pid), _is_qemu(pid)) for pid in family]
    return sum(size for size, _ in sizes), sum(size for size, is_qemu in sizes if is_qemu)


def _family(pid: int) -> Iterable[int]:
    yield pid
    try:
        tasks = list(Path(f"/proc/{pid}/task").iterdir())
        children = [child for task in tasks for child in (task / "children").read_text().split()]
    except OSError:  # it has ended
        return
    for child in children:
        yield from _family(int(child))


def _pss_mb(pid: int) -> float:
    try:
        rows = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0.0
    return next((int(row.split()[1]) for row in rows if row.startswith("Pss:")), 0) / MIB_IN_KIB


def _is_qemu(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/comm").read_text().startswith("qemu-system")
    except OSError:
        return False


def costs(results: dict[str, Any]) -> list[TestCost]:
    """Of each claim's tests in a run's results. On a machine that had too few CPUs, waiting for one is counted, too."""
    found = ((each.get("cpu_seconds") or 0.0, each["seconds"]) for each in results["verdicts"] if each["seconds"])
    return [TestCost(cpu, max(0.0, seconds - cpu)) for cpu, seconds in found]


def simulated_seconds(tests: list[TestCost], cpus: int, workers: int) -> float:
    """How long they take, the longest first: each waits, then wants a CPU; its worker takes the next."""
    waiting = iter(sorted(tests, key=lambda each: -(each.cpu + each.waits)))
    free = [0.0] * cpus
    wanting = [(test.waits, test.cpu) for test in islice(waiting, workers)]
    heapq.heapify(wanting)
    last = 0.0
    while wanting:
        since, cpu = heapq.heappop(wanting)
        ended = max(since, heapq.heappop(free)) + cpu
        heapq.heappush(free, ended)
        last = max(last, ended)
        for test in islice(waiting, 1):
            heapq.heappush(wanting, (ended + test.waits, test.cpu))
    return last


def simulation(tests: list[TestCost]) -> list[dict[str, float]]:
    """By CPUs, with as many workers as a run takes by itself."""
    alone = simulated_seconds(tests, 1, 1)
    rows = []
    for cpus in SIMULATED_CPUS:
        workers = default_workers(cpus, AMPLE_MB)
        seconds = simulated_seconds(tests, cpus, workers)
        rows.append(
            {"cpus": cpus, "workers": workers, "seconds": round(seconds, 1), "faster": round(alone / seconds, 2)}
        )
    return rows


def drawn(samples: list[ScaleSample], file: Path) -> None:
    """Seconds and memory by workers, a line for each number of claims."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 4), layout="constrained")
    seconds, memory = figure.subplots(1, 2)
    for claims in sorted({each.claims for each in samples}):
        of_it = [each for each in samples if each.claims == claims]
        workers = [each.workers for each in of_it]
        seconds.plot(workers, [each.seconds for each in of_it], marker="o", label=f"{claims} claims")
        memory.plot(workers, [each.peak_mb for each in of_it], marker="o", label=f"{claims} claims")
    for axes, what in ((seconds, "seconds"), (memory, "MiB at most")):
        axes.set(xlabel="workers", ylabel=what, ylim=(0, None), xscale="log")
        axes.set_xticks(sorted({each.workers for each in samples}), labels=sorted({each.workers for each in samples}))
        axes.legend()
    figure.savefig(file)


def as_json(samples: list[ScaleSample]) -> str:
    told = {"schema": 1, "cpus": len(os.sched_getaffinity(0)), "samples": [asdict(each) for each in samples]}
    return json.dumps(told, indent=1)


def keep(samples: list[ScaleSample], folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "scale.json").write_text(as_json(samples))
    drawn(samples, folder / "scale.svg")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument("--claims", default="50,100,200,all", metavar="N,N…", help="how many claims")
    parser.add_argument("--workers", default="1,2,4,8,16", metavar="N,N…")
    parser.add_argument("--out", type=Path, metavar="DIR", help="for scale.json and scale.svg")
    parser.add_argument("--simulate", type=Path, metavar="FILE", help="from the results.json of a real run")
    given = parser.parse_args()
    if given.simulate:
        print(
            json.dumps({"schema": 1, "simulated": simulation(costs(json.loads(given.simulate.read_text())))}, indent=1)
        )
        return 0
    claims, samples = tested_claims(), list[ScaleSample]()
    for wanted in given.claims.split(","):
        for workers in map(int, given.workers.split(",")):
            print(f"{wanted} claims, {workers} workers", file=sys.stderr)
            samples.append(measured(every_nth(claims, wanted), workers, len(claims)))
            # What has been measured is not lost where this is ended before it has all.
            if given.out:
                keep(samples, given.out)
    print(as_json(samples))
    return 0


if __name__ == "__main__":
    sys.exit(main())
