"""See for yourself what is said of a broken host: the report card of a run on a host made of namespaces."""

import argparse
import os
import sys
from pathlib import Path

import pytest

from meta_tests.faults import Fault, faults_in, on_hosts
from meta_tests.samples.host_machine import PEER, HostMachine
from meta_tests.user_accounts import NOBODY
from qemunet_tests.cache import cache_root
from qemunet_tests.errors import HarnessError, Unavailable, UsageError


def arguments(words: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m meta_tests.host_shown",
        description=f"{__doc__} Run it as root or as an ordinary user.",
        epilog="It ends with the exit code of that run; 3 where no such host can be made here.",
        allow_abbrev=False,
    )
    parser.add_argument("fault", metavar="FAULT", nargs="?", help="what is wrong with the host; default: nothing is")
    parser.add_argument("--list", action="store_true", help="name the faults")
    parser.add_argument("--report", metavar="DIR", type=Path, help="where the report goes (default: the cache)")
    given = parser.parse_args(words)
    if given.fault is not None and given.fault not in faults_in(on_hosts):
        sys.stderr.write(f"there is no fault {given.fault!r}: see --list\n")
        parser.exit(2)
    return given


def show(fault: Fault | None, report: Path) -> int:
    """Print the card, and answer with the exit code of `qemunet run`."""
    machine = HostMachine()
    try:
        if fault is not None:
            machine.plant(fault.planting)
        if fault is not None and fault.planting.by_doctor:
            machine.said, machine.status = machine.qemunet("doctor").stdout, 0
        else:
            _run(machine, fault, report)
        sys.stdout.write(machine.said)
        return machine.status
    finally:
        machine.close()


def _run(machine: HostMachine, fault: Fault | None, report: Path) -> None:
    """The report stays when the machine has gone: the card names what is in it."""
    report.mkdir(parents=True, exist_ok=True)
    (report / "results.json").unlink(missing_ok=True)
    uid = None
    if machine.made_by_root:
        uid = 0 if fault is not None and fault.planting.as_root else NOBODY
        os.chown(report, uid, -1)
    words = ("--peer", PEER) if fault is None else (*fault.planting.words, *fault.breaks, *fault.sentinels)
    machine.run("--bridge", "br0", *words, uid=uid, report=report)


def main(words: list[str]) -> int:
    """What goes wrong on the way is one line."""
    given = arguments(words)
    if given.list:
        sys.stdout.writelines(f"{name}\n" for name in faults_in(on_hosts))
        return 0
    fault = faults_in(on_hosts)[given.fault] if given.fault else None
    report = given.report or cache_root() / "shown" / (given.fault or "healthy")
    try:
        return show(fault, report.absolute())
    except UsageError as wrong:
        code, why = 2, str(wrong)
    except OSError as refused:
        code, why = 3, f"{refused.filename or 'a program'}: {refused.strerror}"
    except (HarnessError, Unavailable, AssertionError, pytest.skip.Exception) as failed:
        code, why = 3, " ".join(str(failed).split())
    sys.stderr.write(f"host_shown: {why}\n")
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
