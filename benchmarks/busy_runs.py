"""Whole runs of `qemunet run` on a busy machine: does slowness alone ever make a claim `broken`?

    ./bootstrap python benchmarks/busy_runs.py --runs 20 --load 16 [--at-once K] [--as USER] --out DIR [--table FILE]

Programs that do nothing but compute keep the machine at LOAD programs that want a CPU, on average, while the runs go
on. With --at-once several whole runs are one another's load, and only what they leave is filled up. Every run's
results.json stays in DIR/run-NN; the table says what became of each. Exits 1 where a claim was broken, or a run had
more than two claims inconclusive, or did not end.

The programs look for their parent ten times a second and end without it, and a run is told by the kernel to end with
it: nothing is left, even where this script is killed.
"""

import argparse
import itertools
import json
import os
import pwd
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from qemunet_tests.deadline import Deadline
from qemunet_tests.host import system
from qemunet_tests.isolation.syscalls import die_with_parent

PAGE = """\
# A busy machine

Written by `benchmarks/busy_runs.py`, which starts whole runs of `qemunet run` beside programs that do nothing but
compute. A promise is not broken because the machine is slow: no run may say so. What compares times or rates may be
inconclusive, in two claims of a run at most.

    {command}

"""
#: What an ordinary user's login shell has.
PATH = "/usr/local/bin:/usr/bin:/bin"
#: How often the machine is looked at, and after how many looks there is one program more or fewer.
LOOK_SECONDS, LOOKS = 0.25, 12
#: A run that takes longer hangs.
LONGEST_SECONDS = 3600.0
GOOD = ("holds", "deviates", "unavailable")
#: Computes in bursts, and ends when it has another parent than the one it is told: on a busy machine that one may be
#: gone before this begins.
BURN = "import os, sys\nwhile os.getppid() == int(sys.argv[1]):\n    sum(range(2_000_000))"
KILL = 9


class Load:
    """Keeps so many programs wanting a CPU, by starting and ending its own."""

    def __init__(self, wanted: int) -> None:
        self.wanted = wanted
        self._own: list[subprocess.Popen[bytes]] = []
        self._seen: list[int] = []
        self._since_change: list[int] = []

    def look(self) -> None:
        """Count who wants a CPU now, and now and then bring it nearer to what is wanted."""
        # The fourth word is RUNNABLE/ALL, this script among them.
        found = int(Path("/proc/loadavg").read_text().split()[3].partition("/")[0]) - 1
        self._seen.append(found)
        self._since_change.append(found)
        if len(self._since_change) < LOOKS:
            return
        missing = round(self.wanted - sum(self._since_change) / len(self._since_change))
        self._since_change.clear()
        for _ in range(missing):
            self._own.append(subprocess.Popen([sys.executable, "-c", BURN, str(os.getpid())]))
        for _ in range(min(-missing, len(self._own))):
            self._end(self._own.pop())

    def mean_since(self, look: int) -> float:
        """The mean of what was seen from that look on."""
        return sum(self._seen[look:]) / max(len(self._seen) - look, 1)

    @property
    def looks(self) -> int:
        return len(self._seen)

    def close(self) -> None:
        while self._own:
            self._end(self._own.pop())

    @staticmethod
    def _end(burner: subprocess.Popen[bytes]) -> None:
        burner.kill()
        burner.wait()


@dataclass
class Run:
    """One whole run, under way or over."""

    number: int
    folder: Path
    process: subprocess.Popen[bytes]
    first_look: int
    began: float = field(default_factory=time.monotonic)
    load: float = 0.0
    seconds: float = 0.0

    @property
    def results(self) -> dict[str, Any] | None:
        """None where it left none."""
        file = self.folder / "results.json"
        found: dict[str, Any] | None = json.loads(file.read_text()) if file.is_file() else None
        return found

    def verdicts(self, *words: str) -> list[dict[str, Any]]:
        """The verdicts that are one of these words."""
        return [each for each in (self.results or {}).get("verdicts", []) if each["verdict"] in words]

    @property
    def passed(self) -> bool:
        """Nothing broken that is not broken, and two inconclusive at most."""
        return self.results is not None and not self.verdicts("broken") and len(self.verdicts("inconclusive")) <= 2


def started(number: int, out: Path, user: str | None, words: list[str], look: int) -> Run:
    """Start a run whose report goes to a folder of its own, as a user where one is named."""
    folder = out / f"run-{number:02}"
    folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "qemunet_tests", "run", "--report", str(folder), *words]
    environment = dict(os.environ)
    if user:
        account = pwd.getpwnam(user)
        os.chown(folder, account.pw_uid, account.pw_gid)
        change = [f"--reuid={account.pw_uid}", f"--regid={account.pw_gid}", "--init-groups", "--inh-caps=-all"]
        # A change of user takes back what die_with_parent asked for.
        command = ["setpriv", *change, "--pdeathsig=KILL", "--", *command]
        environment = {"PATH": PATH, "HOME": account.pw_dir, "USER": user, "LANG": os.environ.get("LANG", "C.UTF-8")}
    with (folder / "card.txt").open("wb") as card:
        process = subprocess.Popen(
            command,
            env={**environment, "PYTHONDONTWRITEBYTECODE": "1"},
            stdin=subprocess.DEVNULL,
            stdout=card,
            stderr=subprocess.STDOUT,
            cwd="/",
            preexec_fn=lambda: die_with_parent(KILL),  # noqa: PLW1509  (this script has one thread)
        )
    return Run(number, folder, process, look)


def conducted(given: argparse.Namespace, words: list[str]) -> list[Run]:
    """All the runs, a few at once, under the load."""
    load, numbers = Load(given.load), itertools.count(1)
    under_way: list[Run] = []
    over: list[Run] = []

    def all_over() -> bool:
        load.look()
        for run in [each for each in under_way if _ended(each)]:
            under_way.remove(run)
            run.seconds, run.load = time.monotonic() - run.began, load.mean_since(run.first_look)
            over.append(run)
            print(row(run), flush=True)
        while len(under_way) < given.at_once and len(over) + len(under_way) < given.runs:
            under_way.append(started(next(numbers), given.out, given.user, words, load.looks))
        return not under_way

    try:
        # A run of its own limit each, so that this one is never reached.
        Deadline(LONGEST_SECONDS * given.runs, "the runs").wait_until(all_over, interval_seconds=LOOK_SECONDS)
    finally:
        for run in under_way:
            run.process.kill()
        load.close()
    return sorted(over, key=lambda run: run.number)


def _ended(run: Run) -> bool:
    if run.process.poll() is None and time.monotonic() - run.began > LONGEST_SECONDS:
        run.process.kill()
        run.process.wait()
    return run.process.poll() is not None


def row(run: Run) -> str:
    """A line of the table."""
    counts = ", ".join(
        f"{len(found)} {word}"
        for word in ("holds", "deviates", "broken", "inconclusive", "unavailable")
        if (found := run.verdicts(word))
    )
    others = "; ".join(
        f"{each['claim']} {each['verdict']}: {' '.join((each['reason'] or '').split())}"
        for each in run.verdicts("broken", "inconclusive")
    )
    measured = (run.number, f"{run.seconds:.0f}", f"{run.load:.1f}", run.process.returncode)
    return f"| {' | '.join(str(cell).replace('|', '/') for cell in (*measured, counts or 'no results', others))} |"


def table(runs: list[Run], given: argparse.Namespace) -> str:
    """Markdown."""
    first = next((run.results for run in runs if run.results), None) or {}
    qemu, host = first.get("qemu", {}), system.read()
    failed = [run for run in runs if not run.passed]
    said = "In none was a claim broken, and in each two at most were inconclusive." if not failed else (
        f"Not as it should be: run {', '.join(str(run.number) for run in failed)}."
    )  # fmt: skip
    head = (
        f"{len(runs)} whole runs{f' as {given.user}' if given.user else ''}, {given.at_once} at once, on "
        f"{len(os.sched_getaffinity(0))} CPUs with {given.load} programs that want one: {host.distribution}, "
        f"QEMU {qemu.get('version', '?')}, libslirp {qemu.get('slirp', '?')}."
    )
    return "\n".join([
        f"{head} {said}", "",
        "| run | seconds | load seen | exit | verdicts | broken or inconclusive |",
        "|---|---|---|---|---|---|", *map(row, runs), "",
    ])  # fmt: skip


def _told(given: argparse.Namespace) -> list[str]:
    """The options that matter, as they are typed."""
    user = ["--as", given.user] if given.user else []
    return [
        f"--runs {given.runs} --load {given.load} --at-once {given.at_once}",
        *user,
        "--out DIR --table docs/busy.md",
    ]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--load", type=int, default=16, help="programs that want a CPU, on average")
    parser.add_argument("--at-once", type=int, default=1, metavar="K", help="whole runs at the same time")
    parser.add_argument("--as", dest="user", metavar="USER", help="run as this user; the script has to be root's")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    parser.add_argument("--table", type=Path, metavar="FILE", help="write the table here, besides DIR/table.md")
    parser.add_argument("words", nargs="*", metavar="WORD", help="for `qemunet run`, behind a --")
    given = parser.parse_args()
    given.out = given.out.resolve()
    given.out.mkdir(parents=True, exist_ok=True)
    runs = conducted(given, given.words)
    (given.out / "table.md").write_text(table(runs, given))
    if given.table:
        command = f"./bootstrap python benchmarks/busy_runs.py {' '.join(_told(given))}"
        given.table.write_text(PAGE.format(command=command) + table(runs, given))
    return 0 if all(run.passed for run in runs) else 1


if __name__ == "__main__":
    sys.exit(main())
