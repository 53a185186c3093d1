"""Programs of the host that the builder runs."""

import os
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from qemunet_tests.errors import HarnessError, Unavailable
from qemunet_tests.host.search_path import search_path

LIMIT_SECONDS = 900.0
_NO_ROOM = re.compile("No space left on device|Disk quota exceeded|enough free space")
LAST_LINES = 5
# Where administrators' programs live; an ordinary user's PATH often lacks them.
SYSTEM_FOLDERS = "/usr/sbin:/usr/bin:/sbin:/bin"

#: What brings the library that packs and unpacks.
GET_LIBARCHIVE = "sudo apt-get install -y libarchive13t64, which Debian 12 calls libarchive13"


class NoRoom(HarnessError):
    """A program said that the disk is full."""


def find(program: str, package: str) -> str:
    """The program's path. Raises Unavailable, naming the package that brings it."""
    path = search_path(SYSTEM_FOLDERS)
    found = shutil.which(program, path=path)
    if found is None:
        raise Unavailable(
            f"a guest image cannot be built here: {program} is not installed",
            f"install the package {package}, or import an image: qemunet image import FILE",
        )
    return found


def run(
    command: Sequence[str],
    *,
    package: str,
    folder: Path,
    environment: Mapping[str, str] | None = None,
    warnings: bool = False,
) -> str:
    """Run a program to its end in `folder` and return what it wrote, with `warnings` also to standard error.

    Raises NoRoom where it says that the disk is full, HarnessError with the command, its exit status and its last
    words, Unavailable where it is missing.
    """
    argv = [find(command[0], package), *command[1:]]
    try:
        done = subprocess.run(
            argv,
            cwd=folder,
            env={**os.environ, "LC_ALL": "C", **(environment or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=LIMIT_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as late:
        raise HarnessError(f"{argv[0]} did not end within {LIMIT_SECONDS:.0f} s") from late
    # apt calls it a warning where there is no room for a package list.
    if (done.returncode or warnings) and (full := _NO_ROOM.search(done.stderr)):
        raise NoRoom(full[0])
    if done.returncode != 0:
        words = "; ".join((done.stderr.strip() or done.stdout.strip()).splitlines()[-LAST_LINES:])
        raise HarnessError(f"{' '.join(argv)} ended with status {done.returncode}: {words}")
    return done.stdout + (done.stderr if warnings else "")
