"""How the page of many hosts grows. JSON alone on standard output.

    ./bootstrap python benchmarks/many_hosts.py REPORT… [--hosts 50,100,500] [--rounds 1]

Each host's results are those of a real run, the reports that are named, under another host's name: most have the first
one's, every tenth another's. Its round before is another draw, so that there are changes. Nothing is tried.
"""

import argparse
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

SCHEMA = 1
#: Of hosts: one that has the results of the first report, and the same ones as in its round before.
USUAL, UNCHANGED = 0.9, 0.95


def main() -> None:
    asked = _arguments()
    reports = [json.loads((place / "results.json").read_bytes()) for place in asked.report]
    with tempfile.TemporaryDirectory() as folder:
        measured = [_measured(Path(folder, str(count)), reports, count, asked.rounds) for count in asked.hosts]
    print(json.dumps({"schema": SCHEMA, "hosts": measured}, indent=1))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="How the page of many hosts grows.")
    parser.add_argument("report", type=Path, nargs="+", help="folders of real runs, the usual one first")
    parser.add_argument("--hosts", type=lambda text: [int(each) for each in text.split(",")], default=[50, 100, 500])
    parser.add_argument("--rounds", type=int, choices=(1, 2), default=2, help="with a round before, or without one")
    return parser.parse_args()


def make(folder: Path, reports: list[dict[str, Any]], count: int, rounds: int = 2, seed: int = 1) -> list[Path]:
    """The folders of so many hosts, as runs with --report leave them."""
    chance = random.Random(seed)
    made = []
    for number in range(count):
        place = folder / f"host-{number:05}"
        now = _drawn(reports, chance)
        before = now if chance.random() < UNCHANGED else _drawn(reports, chance)
        for home, run in ((place, now), (place / "before", before))[:rounds]:
            home.mkdir(parents=True)
            host = {**run["host"], "name": f"host-{number:05}.example", "id": f"{number:016x}"}
            (home / "results.json").write_text(json.dumps({**run, "host": host}, indent=2))
        made.append(place)
    return made


def _drawn(reports: list[dict[str, Any]], chance: random.Random) -> dict[str, Any]:
    return reports[0] if chance.random() < USUAL else chance.choice(reports)


def _measured(folder: Path, reports: list[dict[str, Any]], count: int, rounds: int) -> dict[str, Any]:
    places = make(folder, reports, count, rounds)
    page = folder / "hosts.html"
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    words = [sys.executable, "-m", "qemunet_tests", "report", *map(str, places), "--out", str(page)]
    done = subprocess.run(words, stdout=subprocess.DEVNULL, check=False)
    took, after = time.monotonic() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    return {
        "count": count,
        "exit": done.returncode,
        "seconds": round(took, 2),
        "cpu_seconds": round(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, 2),
        "peak_mb": round(after.ru_maxrss / 1024),
        "page_mb": round(page.stat().st_size / 1e6, 2),
        "results_mb": round(sum(each.stat().st_size for each in folder.rglob("results.json")) / 1e6, 1),
        "load": os.getloadavg()[0],
    }


if __name__ == "__main__":
    main()
