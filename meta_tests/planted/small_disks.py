"""Runs a program where disks are small: `python -m meta_tests.planted.small_disks FOLDER=SIZE... -- PROGRAM...`.

Each folder is covered with a tmpfs of that size, which only the program and what it starts can see.
"""

import os
import sys
from pathlib import Path

from qemunet_tests.isolation.syscalls import CLONE_NEWNS, CLONE_NEWUSER, MS_PRIVATE, MS_REC, mount, unshare


def enter_private_mounts() -> None:
    """An ordinary user needs a user namespace around them, in which he stays who he is."""
    uid, gid = os.getuid(), os.getgid()
    if uid == 0:
        unshare(CLONE_NEWNS)
    else:
        unshare(CLONE_NEWUSER | CLONE_NEWNS)
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"{uid} {uid} 1")
        Path("/proc/self/gid_map").write_text(f"{gid} {gid} 1")
    mount("none", "/", None, MS_REC | MS_PRIVATE)


if __name__ == "__main__":
    end = sys.argv.index("--")
    enter_private_mounts()
    for small in sys.argv[1:end]:
        folder, _, size = small.partition("=")
        mount("small", folder, "tmpfs", 0, f"size={size},mode=0755,uid={os.getuid()},gid={os.getgid()}")
    os.execvp(sys.argv[end + 1], sys.argv[end + 1 :])
