"""A program that takes the whole machine for its own, run where it can do no harm.

Run as a module with RUN PROGRAM… it gives the program mounts of its own: /run is the folder
RUN, so that no service of the machine is heard; /sys shows the network it is started in and is read-only, so that
systemd's programs do not wait for a udev that is not there; and a machine-id(5) is there, which containers have not and
without which systemd-networkd gives up.
"""

import os
import shutil
import sys
import uuid
from pathlib import Path

from qemunet_tests.isolation import own_python
from qemunet_tests.isolation.syscalls import CLONE_NEWNS, MS_BIND, MS_PRIVATE, MS_RDONLY, MS_REC, mount, unshare

#: The machine's own network configuration, which is not to mix with the lab's.
MACHINE_NETWORK = Path("/etc/systemd/network")
#: In the lab's own /etc.
MACHINE_ID = Path("/etc/machine-id")


def words(run: Path, *program: str) -> list[str]:
    """The command line that runs `program` so."""
    return own_python.words(__name__, str(run), *program)


def _seclude(run: str) -> None:
    unshare(CLONE_NEWNS)
    mount("none", "/", None, MS_REC | MS_PRIVATE)
    mount("sysfs", "/sys", "sysfs", MS_RDONLY)
    mount(run, "/run", None, MS_BIND)
    if MACHINE_NETWORK.is_dir():
        mount("nothing", str(MACHINE_NETWORK), "tmpfs")
    _give_identity(Path(run) / "machine-id")


def _give_identity(own: Path) -> None:
    own.write_text(f"{uuid.uuid4().hex}\n")
    own.chmod(0o644)
    if not MACHINE_ID.exists():
        # A link to nowhere, perhaps.
        MACHINE_ID.unlink(missing_ok=True)
        MACHINE_ID.touch()
    mount(str(own), str(MACHINE_ID), None, MS_BIND)


def _execute(program: list[str]) -> None:
    os.execv(shutil.which(program[0]) or program[0], program)


if __name__ == "__main__":
    _seclude(sys.argv[1])
    _execute(sys.argv[2:])
