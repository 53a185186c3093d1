"""More ids for a user namespace than that of whoever makes it.

An administrator lends them to an ordinary user, by subuid(5) and newuidmap(1): with one of them as its root, the
namespace has somebody whom a setuid bit can turn its caller into. A container's root has those of his container: with
them, there is somebody other than root to run QEMU as.
"""

import os
import shutil
import subprocess
from pathlib import Path
from types import TracebackType

from qemunet_tests.user_names import user_name

LENT = Path("/etc/subuid")


#: What containers map of their users, nobody included. Rootless ones map root apart, which no line may span.
_MAP_ALL = (
    r"read -r _ && for ids in uid gid; do printf '0 0 1\n1 1 65535\n' >/proc/$1/${ids}_map || exit; done",
    "sh",
)


class IdMapper:
    """Maps further ids into the user namespace of a process of ours: for root those of groups as well.

    Where the process is this one, it has to be made before that enters: maps are written from outside, on behalf of
    whoever is there.
    """

    def __init__(self, process_id: int) -> None:
        words = self._command(str(process_id))
        self._mapper: subprocess.Popen[bytes] | None = None
        if words:
            silent = subprocess.DEVNULL
            self._mapper = subprocess.Popen(["sh", "-c", *words], stdin=subprocess.PIPE, stdout=silent, stderr=silent)

    @staticmethod
    def _command(process_id: str) -> list[str]:
        """A shell's script and arguments, or nothing where nobody lends."""
        uid, lent = os.getuid(), _first_lent()
        if uid == 0:
            return [*_MAP_ALL, process_id]
        if lent is None or not shutil.which("newuidmap"):
            return []
        ids = ["0", lent, "1", str(uid), str(uid), "1"]
        return ['read -r _ && exec newuidmap "$@"', "newuidmap", process_id, *ids]

    def maps(self) -> bool:
        """Map the ids now that the process is inside; whether that was done. If not, no map is written."""
        if self._mapper is None:
            return False
        self._mapper.communicate(b"\n")
        return self._mapper.returncode == 0

    def __enter__(self) -> "IdMapper":
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
