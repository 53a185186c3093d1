"""The tables of docs/host-faults.md: what was wrong with a host, the cause that was named, the remedy that mended it.

Run test_host_faults_named.py with `QEMUNET_HOST_FAULT_RECORDS` naming a folder, then
`python -m meta_tests.faults.tables_of_hosts FOLDER docs/host-faults.md`.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

from meta_tests.faults import catalogue
from meta_tests.faults.on_hosts.bridge import HOST_FAULTS
from meta_tests.faults.on_hosts.typed import HostFault

HEAD = """\
# Faults of a real host

Written by `tox -e host-faults`. Hosts made of namespaces by hand, each broken in one way, are judged by `qemunet run
--target host` (or, where it says so, by `qemunet doctor`): the claims have to be broken with the right cause, a claim
that has nothing to do with the fault has to hold all the time, and the broken ones have to hold once the remedy was
applied. Where "as written" stands, that was typed word for word. `python -m meta_tests.host_shown FAULT` shows any.
"""
COLUMNS = """
| no. | fault | judged by | claims that break | cause named in the report | remedy | applied |
|---|---|---|---|---|---|---|"""
KNOWN = """
## Faults of the catalogue

The number is that of the catalogue of host faults which the project was begun with; a fault may come in several shapes.
"""
UNHEARD = """
## Faults that nothing in the code is about

Here the place has to be found by following a frame, or in what the kernel itself counts and lists.
"""


def record(fault: HostFault, found: dict[str, Any]) -> None:
    """Write down what the report said of a fault that its remedy has mended, where somebody collects that."""
    if folder := os.environ.get("QEMUNET_HOST_FAULT_RECORDS"):
        Path(folder).mkdir(parents=True, exist_ok=True)
        Path(folder, f"{fault.name}.json").write_text(json.dumps([found["reason"], found["remedy"]]))


def table(records: Path) -> str:
    """The tables as Markdown."""
    known, unheard = (
        [_row(fault, records / f"{fault.name}.json") for fault in HOST_FAULTS if bool(fault.catalogue) is catalogued]
        for catalogued in (True, False)
    )
    planted = sum((records / f"{fault.name}.json").is_file() for fault in HOST_FAULTS)
    count = f"\n{planted} of {len(HOST_FAULTS)} were planted, named and mended when each was last run."
    return "\n".join([HEAD + count, KNOWN + COLUMNS, *known, UNHEARD + COLUMNS, *unheard, "", catalogue.coverage(), ""])


def _row(fault: HostFault, said: Path) -> str:
    reason, remedy = json.loads(said.read_text()) if said.is_file() else ("not planted in this run", "")
    applied = "as written" if fault.mended is None else "by what it means"
    cells = [fault.catalogue, fault.name, fault.by, ", ".join(fault.breaks), reason, remedy, applied]
    return f"| {' | '.join(' '.join(cell.split()).replace('|', '/') for cell in cells)} |"


if __name__ == "__main__":
    Path(sys.argv[2]).write_text(table(Path(sys.argv[1])))
