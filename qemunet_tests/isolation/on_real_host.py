"""Staying on the machine: what a run lives in when the real host is the target.

Its network, its /etc, its users and its bridge helper are the machine's own, and nothing of them is changed. Where it
may, the run makes what leaves no trace: private mounts for what it writes, a PID namespace for what it starts. An
ordinary user may make those in a user namespace only, where the machine's setuid helper and its network would be
somebody else's; he gets a folder and its reaper instead.
"""

import os
import shutil
import tempfile
from pathlib import Path

from qemunet_tests import cache, posix_acl, trust
from qemunet_tests.errors import Unavailable
from qemunet_tests.isolation import namespaces
from qemunet_tests.isolation.folder_reaper import FolderReaper
from qemunet_tests.isolation.namespaces import SCRATCH
from qemunet_tests.isolation.pid_namespace import PidNamespace
from qemunet_tests.isolation.syscalls import CLONE_NEWNS, MS_PRIVATE, MS_REC, mount, unshare

#: For the image, and the memory of a template and of its guests. A container's /dev/shm often has 64 MB.
ROOM_BYTES = 1 << 30
#: Of the 107 that the path of a socket may have (unix(7)); samba's, below the folder of a guest, are the longest.
LONGEST_NAME_BYTES = 40
#: Where else there may be room.
OTHERS = (Path("/var/tmp"), Path("/tmp"))


def start_reaper(controller_pid: int) -> PidNamespace | FolderReaper:
    """Prepare this process for a run on the machine, and return who cleans up behind it."""
    cache.let_others_read()
    try:
        unshare(CLONE_NEWNS)
        mount("none", "/", None, MS_REC | MS_PRIVATE)
        mount("qemunet", str(SCRATCH), "tmpfs", 0, "mode=0755")
    except OSError:  # an ordinary user, or a container's root
        namespaces.write_into(_new_folder())
        return FolderReaper(controller_pid, namespaces.scratch())
    return PidNamespace(controller_pid)


def _new_folder() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="qemunet-", dir=_place()))
    # QEMU may run as somebody else.
    folder.chmod(0o755)
    posix_acl.give_none(folder)
    return folder


def _place() -> Path:
    """Where there is room, and a name that leaves room for those of sockets. Raises Unavailable where there is none."""
    usual = Path(tempfile.gettempdir())
    roomy = [place for place in dict.fromkeys([SCRATCH, usual, *OTHERS]) if _serves(place)]
    if short := [place for place in roomy if len(os.fsencode(place)) <= LONGEST_NAME_BYTES]:
        return short[0]
    if roomy:
        raise Unavailable(
            f"only {roomy[0]} has room for guests, and no socket can have so long a name",
            "name a folder with a short name in TMPDIR",
        )
    # Perhaps it is enough.
    return usual if len(os.fsencode(usual)) <= LONGEST_NAME_BYTES else OTHERS[0]


def _serves(folder: Path) -> bool:
    try:
        # Whoever owns a folder on the way can put another in the place of the one that is made there.
        if trust.against_the_way_to(folder / "qemunet") or shutil.disk_usage(folder).free < ROOM_BYTES:
            return False
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False
