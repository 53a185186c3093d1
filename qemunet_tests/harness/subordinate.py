"""Ids that an administrator lent to an ordinary user, by subuid(5) and newuidmap(1).

With one of them as its root, a user namespace has somebody whom a setuid bit can turn its caller into.
"""

import os
import shutil
import subprocess
from pathlib import Path
from types import TracebackType

from qemunet_tests.harness.host.account import user_name

LENT = Path("/etc/subuid")


class RootLender:
    """Maps root into the user namespace that this process is about to enter, next to its own id.

    It has to be made before: newuidmap works from outside, on behalf of the user who is there.
    """

    def __init__(self) -> None:
        self._mapper: subprocess.Popen[bytes] | None = None
        uid, lent = os.getuid(), _first_lent()
        if uid == 0 or lent is None or not shutil.which("newuidmap"):
            return
        ids = ["0", lent, "1", str(uid), str(uid), "1"]
        self._mapper = subprocess.Popen(
            ["sh", "-c", 'read -r _ && exec newuidmap "$@"', "newuidmap", str(os.getpid()), *ids],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def lends(self) -> bool:
        """Map the ids of this process now that it is inside; whether that was done. If not, no map is written."""
        if self._mapper is None:
            return False
        self._mapper.communicate(b"\n")
        return self._mapper.returncode == 0

    def __enter__(self) -> "RootLender":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._mapper:
            # Without a word it ends and maps nothing.
            self._mapper.communicate()


def _first_lent() -> str | None:
    """The first of the ids that are lent to this user."""
    names = {str(os.getuid()), user_name(os.getuid())}
    try:
        rows = [row.split(":") for row in LENT.read_text().splitlines()]
    except OSError:  # a machine that lends nothing
        return None
    return next((row[1] for row in rows if len(row) == 3 and row[0] in names), None)
