"""Being root, and being an ordinary user, where the project's own tests are run by root."""

import os
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

CHECKOUT = Path(__file__).parent.parent
NOBODY = 65534
#: As Debian's login sets it for everybody but root.
ORDINARY_PATH = "/usr/local/bin:/usr/bin:/bin"


@dataclass(frozen=True)
class Account:
    """Who runs something, and the command words that make it so. `group` tells whose the files are."""

    name: str
    uid: int
    group: int

    @property
    def prefix(self) -> list[str]:
        if os.geteuid() != 0:
            return []
        identity = [f"--reuid={self.uid}", f"--regid={self.group}", "--clear-groups"]
        return ["setpriv", *identity, *([] if self.uid == 0 else ["--inh-caps=-all"]), "--"]

    @property
    def environment(self) -> dict[str, str]:
        """What little the environment holds. Debian leaves /usr/sbin to root."""
        path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" if self.uid == 0 else ORDINARY_PATH
        return {"PATH": path, "HOME": "/nonexistent", "PYTHONDONTWRITEBYTECODE": "1"}

    def can_read(self, path: Path) -> bool:
        """Whether this user may enter a folder; a checkout in root's home is closed to others."""
        if os.geteuid() != 0 or self.uid == 0:
            return True
        return all(folder.stat().st_mode & 0o005 == 0o005 for folder in (path, *path.parents))


def accounts(slow: Collection[str] = ()) -> list[Any]:
    """For `parametrize`: root and an ordinary user where we are root, else only ourselves.

    Those whose names are in `slow` are left out of the core run.
    """
    # A group of this process's own, so that what it leaves can be told from what others leave.
    group = 60_000 + os.getpid() % 5_000
    if os.geteuid() != 0:
        return [pytest.param(Account("myself", os.geteuid(), os.getegid()), id="as-myself")]
    found = []
    for account in (Account("root", 0, group), Account("nobody", NOBODY, group)):
        marks = [pytest.mark.slow] if account.name in slow else []
        if not account.can_read(CHECKOUT):
            marks.append(pytest.mark.skip(reason=f"{CHECKOUT} is closed to ordinary users"))
        found.append(pytest.param(account, id=f"as-{account.name}", marks=marks))
    return found
