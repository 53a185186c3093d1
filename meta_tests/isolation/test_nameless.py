"""Somebody whose user id has no name, as in a container that was started with --user."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from meta_tests.patience import limit
from meta_tests.qemunet_command import clean_environment
from meta_tests.user_accounts import CHECKOUT, Account

#: Nobody's on any machine that follows Debian's policy.
NAMELESS = Account("nameless", 54_321, 54_321)


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
@pytest.mark.skipif(not NAMELESS.can_read(CHECKOUT), reason=f"{CHECKOUT} is closed to ordinary users")
def test_only_what_needs_a_name_is_unavailable_to_him(open_folder: Path) -> None:
    os.chown(open_folder, NAMELESS.uid, NAMELESS.group)
    words = [str(CHECKOUT / "bootstrap"), "qemunet", "run", "user/smb-server", "user/address", "--accel", "tcg"]
    environment = {**clean_environment(), **NAMELESS.environment}
    done = subprocess.run(
        [*NAMELESS.prefix, *words, "-n", "1", "--report", str(open_folder / "out")],
        cwd="/", env=environment, capture_output=True, text=True, check=False, timeout=limit(600),
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    verdicts = json.loads((open_folder / "out/results.json").read_text())["verdicts"]
    said = {each["claim"]: each for each in verdicts}
    assert said["user/address"]["verdict"] == "holds"
    smb = said["user/smb-server"]
    assert (smb["verdict"], smb["reason"]) == (
        "unavailable",
        f"the user id {NAMELESS.uid}, which QEMU runs as, has no name, and QEMU's smb= needs one",
    )
    assert smb["remedy"] == "give it a line in /etc/passwd, or run as a user who has one"
