"""The two tables of docs/faults.md: what each fault broke, and which faults break each claim.

`tox -e faults` plants every fault with `QEMUNET_FAULT_RECORDS` naming a folder, where each writes down what the report
gave as the cause; then `python -m meta_tests.faults.table FOLDER docs/faults.md` writes the tables.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

from meta_tests.faults.fault import FAULTS, UNBREAKABLE, Fault
from meta_tests.faults.plugin import user  # noqa: F401  (registers the faults)
from qemunet_tests.claims import load

HEAD = """\
# Faults

Written by `tox -e faults`, which breaks a host, a network or a guest in every one of these ways and compares what the
suite says: the claims concerned must be broken for the reason given, and the sentinels must hold.

## What each fault breaks
"""


def record(fault: Fault, verdicts: dict[str, dict[str, Any]]) -> None:
    """Write down what became of a fault's claims, where somebody collects that."""
    if folder := os.environ.get("QEMUNET_FAULT_RECORDS"):
        reasons = {claim: verdicts[claim]["reason"] for claim in fault.breaks}
        Path(folder).mkdir(parents=True, exist_ok=True)
        Path(folder, f"{fault.name}.json").write_text(json.dumps(reasons))


def tables(records: Path) -> str:
    """Both tables as Markdown."""
    rows = [
        "| fault | what is wrong | claims that break | cause named in the report | sentinels |",
        "|---|---|---|---|---|",
    ]
    rows += [_row(fault, records / f"{name}.json") for name, fault in FAULTS.items()]
    by_claim = ["", "## Which faults break a claim", "", "| claim | broken by |", "|---|---|"]
    by_claim += [f"| {claim} | {_breakers(claim)} |" for claim in load()]
    return "\n".join([HEAD, *rows, *by_claim, ""])


def _row(fault: Fault, said: Path) -> str:
    reasons = json.loads(said.read_text()) if said.is_file() else {}
    cause = next(iter(reasons.values()), "not planted in this run")
    held = f"{len(fault.sentinels)} hold" if reasons else "–"
    cells = [fault.name, fault.says, ", ".join(fault.breaks), cause, held]
    return f"| {' | '.join(' '.join(cell.split()).replace('|', '/') for cell in cells)} |"


def _breakers(claim: str) -> str:
    names = [fault.name for fault in FAULTS.values() if claim in fault.breaks]
    return ", ".join(names) or f"none: {UNBREAKABLE.get(claim, 'no fault yet')}"


if __name__ == "__main__":
    Path(sys.argv[2]).write_text(tables(Path(sys.argv[1])))
