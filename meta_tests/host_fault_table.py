"""The table of docs/host-faults.md: what was wrong with a host, the cause that was named, the remedy that mended it.

Run test_host_faults_named.py with `QEMUNET_HOST_FAULT_RECORDS` naming a folder, then
`python -m meta_tests.host_fault_table FOLDER docs/host-faults.md`.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

from meta_tests.host_faults import HOST_FAULTS, HostFault

HEAD = """\
# Faults of a real host

Hosts made of namespaces by hand, each broken in one way, judged by `qemunet run --target host`: the claims have to be
broken with the right cause, and to hold once the remedy was applied. Where "as written" stands, that was typed word
for word.

| fault | run by | claims that break | cause named in the report | remedy | applied |
|---|---|---|---|---|---|"""


def record(fault: HostFault, found: dict[str, Any]) -> None:
    """Write down what the report said of a fault that its remedy has mended, where somebody collects that."""
    if folder := os.environ.get("QEMUNET_HOST_FAULT_RECORDS"):
        Path(folder).mkdir(parents=True, exist_ok=True)
        Path(folder, f"{fault.name}.json").write_text(json.dumps([found["reason"], found["remedy"]]))


def table(records: Path) -> str:
    """The table as Markdown."""
    return "\n".join([HEAD, *(_row(fault, records / f"{fault.name}.json") for fault in HOST_FAULTS), ""])


def _row(fault: HostFault, said: Path) -> str:
    reason, remedy = json.loads(said.read_text()) if said.is_file() else ("not planted in this run", "")
    applied = "as written" if fault.mended is None else "by what it means"
    cells = [fault.name, "root" if fault.as_root else "a user", ", ".join(fault.breaks), reason, remedy, applied]
    return f"| {' | '.join(' '.join(cell.split()).replace('|', '/') for cell in cells)} |"


if __name__ == "__main__":
    Path(sys.argv[2]).write_text(table(Path(sys.argv[1])))
