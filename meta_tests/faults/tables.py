"""docs/faults.md and docs/host-faults.md: what was broken, the cause that was named, the remedy that mended it.

`tox -e faults` and `tox -e host-faults` plant every fault with `QEMUNET_FAULT_RECORDS` naming a folder, where each
writes down what was said of it; then `python -m meta_tests.faults.tables lab|hosts FOLDER FILE` writes the tables.
"""

import json
import os
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from meta_tests import faults
from meta_tests.faults import Fault, faults_in, in_files, kinds, on_hosts, unbreakable
from qemunet_tests.claims import load

LAB = """\
# Faults

Written by `tox -e faults`, which breaks a host, a network or a guest in every one of these ways and compares what the
suite says: the claims concerned must be broken for the reason given, and the sentinels must hold.

## What each fault breaks
"""
HOSTS = """\
# Faults of a real host

Written by `tox -e host-faults`. Hosts made of namespaces by hand, each broken in one way, are judged by `qemunet run
--target host` (or, where it says so, by `qemunet doctor`): the claims have to be broken with the right cause, a claim
that has nothing to do with the fault has to hold all the time, and the broken ones have to hold once the remedy was
applied. Where "as written" stands, that was typed word for word. `python -m meta_tests.host_shown FAULT` shows any.

{planted} of {all} were planted, named and mended when each was last run.

## Faults by their kind

A kind may come in several shapes.
"""
UNHEARD = """
## Faults that nothing in the code is about

Here the place has to be found by following a frame, or in what the kernel itself counts and lists.
"""
COVERAGE = """
## Which kinds are tried

{covered} of {all} kinds: {on_hosts} are planted on hosts of namespaces, {in_lab} more in the lab, and \
{in_files} more, which take other hardware or settings, are shown to the doctor as recorded files.
"""


def record(fault: Fault, said: Mapping[str, Any]) -> None:
    """Write down what was said of what a fault breaks, once that was as it should be and where somebody collects it."""
    if folder := os.environ.get("QEMUNET_FAULT_RECORDS"):
        Path(folder).mkdir(parents=True, exist_ok=True)
        Path(folder, f"{fault.name}.json").write_text(json.dumps([said["reason"], said["remedy"]]))


def of_lab(records: Path) -> str:
    """What each fault of the lab breaks, and which faults break a claim."""
    planted = faults_in(faults).values()
    breaks = ([each.name, each.says, ", ".join(each.breaks), _said(each, records)[0], _held(each, records)]
              for each in planted)  # fmt: skip
    excuses = unbreakable(faults)
    # What no test tries nothing can break.
    excuses = {claim: "it is not tried" for claim, table in load().items() if table.untested} | excuses
    broken = {claim: ", ".join(each.name for each in planted if claim in each.breaks) for claim in load()}
    breakers = ([claim, by or f"none: {excuses.get(claim, 'no fault yet')}"] for claim, by in broken.items())
    head = ("fault", "what is wrong", "claims that break", "cause named in the report", "sentinels")
    return "\n".join([LAB, *_table(head, breaks), "", "## Which faults break a claim", "",
                      *_table(("claim", "broken by"), breakers), ""])  # fmt: skip


def of_hosts(records: Path) -> str:
    """What was said of each host, those of a known kind first, and what of that is tried anywhere."""
    planted = faults_in(on_hosts).values()
    head = ("kind", "fault", "judged by", "claims that break", "cause named in the report", "remedy", "applied")
    known, unheard = (
        _table(head, (_of_host(each, records) for each in planted if bool(each.kind) is known))
        for known in (True, False)
    )
    count = sum(_file(each, records).is_file() for each in planted)
    text = HOSTS.format(planted=count, all=len(planted))
    return "\n".join([text, *known, UNHEARD, *unheard, *_coverage(), ""])


def _of_host(fault: Fault, records: Path) -> list[str]:
    applied = "as written" if fault.planting.mended is None else "by what it means"
    about = [fault.kind, fault.name, fault.planting.judge, ", ".join(fault.breaks)]
    return [*about, *_said(fault, records), applied]


def _coverage() -> list[str]:
    found = [kinds.by_kind(faults_in(folder).values()) for folder in (on_hosts, faults, in_files)]
    hosts, lab, files = (set(each) for each in found)
    text = COVERAGE.format(covered=len(hosts | lab | files), all=len(kinds.KINDS), on_hosts=len(hosts),
                            in_lab=len(lab - hosts), in_files=len(files - hosts - lab))  # fmt: skip
    rows = (
        [kind, *(", ".join(each.get(kind, ())) for each in found), kinds.NOT_TRIED.get(kind, "")]
        for kind in kinds.KINDS
    )
    head = ("kind", "hosts of namespaces", "lab (docs/faults.md)", "recorded files, judged by the doctor", "why not")
    return [text, *_table(head, rows)]


def _file(fault: Fault, records: Path) -> Path:
    return records / f"{fault.name}.json"


def _said(fault: Fault, records: Path) -> list[str]:
    """The cause and the remedy that were named."""
    file = _file(fault, records)
    return [text or "" for text in json.loads(file.read_text())] if file.is_file() else ["not planted in this run", ""]


def _held(fault: Fault, records: Path) -> str:
    return f"{len(fault.sentinels)} hold" if _file(fault, records).is_file() else "–"


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> list[str]:
    cells = [[" ".join(cell.split()).replace("|", "/") for cell in row] for row in (head, *rows)]
    lines = [f"| {' | '.join(row)} |" for row in cells]
    return [lines[0], "|---" * len(cells[0]) + "|", *lines[1:]]


if __name__ == "__main__":
    write = {"lab": of_lab, "hosts": of_hosts}[sys.argv[1]]
    Path(sys.argv[3]).write_text(write(Path(sys.argv[2])))
