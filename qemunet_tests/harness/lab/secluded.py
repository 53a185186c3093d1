"""A program that takes the whole machine for its own, run where it can do no harm.

`python -m qemunet_tests.harness.lab.secluded RUN PROGRAM…` gives the program mounts of its own: /run is the folder
RUN, so that no service of the machine is heard; /sys shows the network it is started in and is read-only, so that
systemd's programs do not wait for a udev that is not there.
"""

import os
import shutil
import sys
from pathlib import Path

from qemunet_tests.harness.syscalls import CLONE_NEWNS, MS_BIND, MS_PRIVATE, MS_RDONLY, MS_REC, mount, unshare

#: The machine's own network configuration, which is not to mix with the lab's.
MACHINE_NETWORK = Path("/etc/systemd/network")


def words(run: Path, *program: str) -> list[str]:
    """The command line that runs `program` so."""
    return [sys.executable, "-m", __name__, str(run), *program]


def _seclude(run: str) -> None:
    unshare(CLONE_NEWNS)
    mount("none", "/", None, MS_REC | MS_PRIVATE)
    mount("sysfs", "/sys", "sysfs", MS_RDONLY)
    mount(run, "/run", None, MS_BIND)
    if MACHINE_NETWORK.is_dir():
        mount("nothing", str(MACHINE_NETWORK), "tmpfs")


def _execute(program: list[str]) -> None:
    os.execv(shutil.which(program[0]) or program[0], program)


if __name__ == "__main__":
    _seclude(sys.argv[1])
    _execute(sys.argv[2:])
