"""Tries mutants, and writes down what became of each.

What was written down before is not tried again, so that a run that was interrupted goes on. `tox -e mutants` writes
docs/mutants.md of it with `python -m meta_tests.mutants.table`.
"""

import argparse
import fnmatch
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from meta_tests.mutants.debian_sources import NoSource
from meta_tests.mutants.edits import Edit, edits
from meta_tests.mutants.trying import UNMODIFIED, Outcome, Trees, record_of, tried, unmodified


def try_all(chosen: list[Edit], records: Path, at_once: int, workers: int | None) -> None:
    """Try them, and write down each as soon as it is known. Raises NoSource."""
    trees = Trees()
    records.mkdir(parents=True, exist_ok=True)

    def one(edit: Edit) -> Outcome:
        return kept(tried(edit, trees, workers))

    def kept(outcome: Outcome) -> Outcome:
        record_of(records, outcome.program, outcome.file, outcome.name).write_text(outcome.as_json())
        return outcome

    for program in trees.of:
        if not record_of(records, program, "", UNMODIFIED).exists():
            kept(unmodified(program, trees, workers))
    with ThreadPoolExecutor(at_once) as pool:
        for outcome in pool.map(one, chosen):
            said = outcome.untried or ", ".join(outcome.broken) or "survives"
            sys.stdout.write(f"{outcome.file} {outcome.name}: {said} ({outcome.seconds:.0f} s)\n")
            sys.stdout.flush()


def _asked() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m meta_tests.mutants", description=__doc__)
    parser.add_argument("records", type=Path, help="the folder in which is written down what became of each")
    parser.add_argument("--core", action="store_true", help="only those that every run of the project's tests tries")
    parser.add_argument("--file", default="*", metavar="GLOB", help="only edits of this source file")
    parser.add_argument("--name", default="*", metavar="GLOB", help="only edits of this name, those known as well")
    parser.add_argument("--at-once", type=int, default=1, help="how many mutants are tried side by side")
    parser.add_argument("-n", dest="workers", type=int, default=None, help="the same option of qemunet run")
    return parser.parse_args()


def main() -> int:
    """What is not known yet is tried."""
    asked = _asked()
    chosen = [
        edit
        for edit in edits()
        if fnmatch.fnmatchcase(edit.file, asked.file)
        and fnmatch.fnmatchcase(edit.name, asked.name)
        and (edit.core or not asked.core)
        and (asked.name != "*" or not record_of(asked.records, edit.program, edit.file, edit.name).exists())
    ]
    try:
        try_all(chosen, asked.records, asked.at_once, asked.workers)
    except NoSource as why:
        sys.stderr.write(f"{why}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
