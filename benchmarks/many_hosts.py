"""How the page of many hosts grows. JSON alone on standard output.

    ./bootstrap --test python -m benchmarks.many_hosts REPORT… [--hosts 50,100,500] [--rounds 1] [--browser]

Each host's results are those of a real run, the reports that are named, under another host's name: most have the first
one's, every tenth another's. Its round before is another draw, so that there are changes. Nothing is tried. A run of
some claims is written on to the length of one of all: each other claim has what became of one that was tried.

With --browser each page is opened in a Chromium without a window, and filtered there. It runs as nobody: TMPDIR has to
be where everybody may enter.
"""

import argparse
import itertools
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

from qemunet_tests.claims import load

SCHEMA = 1
#: Of hosts: one that has the results of the first report, and the same ones as in its round before.
USUAL, UNCHANGED = 0.9, 0.95


def main() -> None:
    asked = _arguments()
    reports = [_whole(json.loads((place / "results.json").read_bytes())) for place in asked.report]
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        measured = [_measured(Path(folder, str(count)), reports, count, asked) for count in asked.hosts]
    print(json.dumps({"schema": SCHEMA, "hosts": measured}, indent=1))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="How the page of many hosts grows.")
    parser.add_argument("report", type=Path, nargs="+", help="folders of real runs, the usual one first")
    parser.add_argument("--hosts", type=lambda text: [int(each) for each in text.split(",")], default=[50, 100, 500])
    parser.add_argument("--rounds", type=int, choices=(1, 2), default=2, help="with a round before, or without one")
    parser.add_argument("--browser", action="store_true", help="open and filter each page as well")
    return parser.parse_args()


def _whole(run: dict[str, Any]) -> dict[str, Any]:
    tried = {each["claim"]: each for each in run["verdicts"]}
    others = itertools.cycle(run["verdicts"])
    claims = ((claim, tried.get(claim) or next(others)) for claim in [*load(), *(set(tried) - set(load()))])
    return {**run, "verdicts": [{**became, "claim": claim} for claim, became in claims]}


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
            (home / "results.json").write_text(json.dumps({**run, "host": host}, indent=2, ensure_ascii=False))
        made.append(place)
    return made


def _drawn(reports: list[dict[str, Any]], chance: random.Random) -> dict[str, Any]:
    return reports[0] if chance.random() < USUAL else chance.choice(reports)


def _measured(folder: Path, reports: list[dict[str, Any]], count: int, asked: argparse.Namespace) -> dict[str, Any]:
    places = make(folder, reports, count, asked.rounds)
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
        "browser": _in_a_browser(page) if asked.browser else None,
    }


def _in_a_browser(page: Path) -> dict[str, float]:
    # selenium is the tests' own, and is not there without them.
    from meta_tests.report import browser_seconds
    from meta_tests.report.browser import DESKTOP, browser

    with browser() as opened:
        opened.resize(DESKTOP)
        measured = {
            "painted_seconds": browser_seconds.seconds_to_open(opened, page),
            "whole_seconds": browser_seconds.seconds_to_load(opened),
            "hosts_seconds": browser_seconds.seconds_to_filter(opened, "search", "7.example"),
            "all_hosts_seconds": browser_seconds.seconds_to_filter(opened, "search", ""),
            "claims_seconds": browser_seconds.seconds_to_filter(opened, "claims", "bridge/"),
        }
    return {name: round(seconds, 3) for name, seconds in measured.items()}


if __name__ == "__main__":
    main()
