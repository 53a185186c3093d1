"""See for yourself what is said of a broken host: the report card of a run on a host made of namespaces.

`python -m meta_tests.host_shown [FAULT]`, as root or an ordinary user; without a FAULT the host is healthy and all
claims are tried. `python -m meta_tests.host_shown --list` names the faults.
"""

import sys

from meta_tests.host_faults import HOST_FAULTS
from meta_tests.host_machine import PEER, HostMachine


def show(name: str | None) -> int:
    """Print the card, and answer with the exit code of `qemunet run`."""
    fault = next((fault for fault in HOST_FAULTS if fault.name == name), None)
    if name is not None and fault is None:
        sys.stderr.write(f"there is no fault {name!r}: see --list\n")
        return 2
    machine = HostMachine()
    try:
        if fault is None:
            machine.run("--bridge", "br0", "--peer", PEER)
        elif fault.judge == "doctor":
            machine.plant(fault)
            machine.said, machine.status = machine.qemunet("doctor").stdout, 0
        else:
            machine.plant(fault)
            uid = 0 if fault.as_root and machine.made_by_root else None
            machine.run("--bridge", "br0", *fault.words, *fault.breaks, fault.sentinel, uid=uid)
        sys.stdout.write(machine.said)
        return machine.status
    finally:
        machine.close()


if __name__ == "__main__":
    if sys.argv[1:] == ["--list"]:
        sys.stdout.writelines(f"{fault.name}\n" for fault in HOST_FAULTS)
    else:
        sys.exit(show(*(sys.argv[1:2] or [None])))
