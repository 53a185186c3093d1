"""A machine that has qemunet from a wheel and not libarchive, the system's library: one line, and what to install."""

import subprocess
import sys

PROGRAM = """
import ctypes.util, sys
ctypes.util.find_library = lambda name: None
from qemunet_tests.__main__ import exit_code
sys.exit(exit_code(["image", "build"]))
"""


def test_a_missing_libarchive_is_named() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout) == (3, "")
    said, remedy = done.stderr.splitlines()
    assert said == "qemunet: a guest image cannot be built here: libarchive is not installed"
    assert remedy.startswith("qemunet: remedy: sudo apt-get install -y libarchive13t64")
