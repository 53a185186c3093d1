"""The setuid copy: a QEMU names its helper itself, and must not get a program of its choice made root's by that."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from meta_tests.planted.granted import grant
from meta_tests.user_accounts import CHECKOUT

#: In mounts of its own, as a lab has; prints whether the copy was given the bit, and the mode of what lies there.
GIVE = """
import os, sys
from pathlib import Path
from qemunet_tests.qemu import setuid_helper as helper
from qemunet_tests.isolation.syscalls import CLONE_NEWNS, MS_PRIVATE, MS_REC, mount, unshare
unshare(CLONE_NEWNS)
mount("none", "/", None, MS_REC | MS_PRIVATE)
mount("qemunet", "/dev/shm", "tmpfs", 0, "mode=0755")
placed = helper.BridgeHelper(sys.argv[1])
print(placed.give_setuid(), oct(Path(sys.argv[1]).stat().st_mode & 0o7777))
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root's runs have a setuid copy")
@pytest.mark.parametrize(
    ("owner", "mode", "folder_owner", "listed", "given"),
    [
        (0, 0o755, 0, False, "True 0o4755"),
        (65534, 0o755, 0, False, "False 0o755"),
        (0, 0o757, 0, False, "False 0o755"),
        (0, 0o755, 65534, False, "False 0o755"),
        (0, 0o775, 0, True, "False 0o755"),
    ],
    ids=["roots", "a-strangers", "writable-by-all", "in-a-strangers-folder", "writable-by-a-list"],
)
def test_only_roots_own_helper_gets_the_bit(owner: int, mode: int, folder_owner: int, listed: bool, given: str) -> None:
    with tempfile.TemporaryDirectory(dir="/var/tmp", prefix="qemunet-") as folder:
        os.chown(folder, folder_owner, -1)
        Path(folder).chmod(0o755)
        helper = Path(folder, "helper")
        helper.write_text("#!/bin/sh\n")
        helper.chmod(mode)
        os.chown(helper, owner, -1)
        if listed:
            grant(helper, 65534)
        done = subprocess.run(
            [sys.executable, "-c", GIVE, str(helper)],
            cwd=CHECKOUT, capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        assert done.stdout.strip() == given, done.stderr
        assert helper.stat().st_mode & 0o7777 == mode
