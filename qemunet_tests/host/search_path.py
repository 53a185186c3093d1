"""Where programs are looked for: PATH, without the folders that may not be believed."""

import os
from collections.abc import Mapping
from pathlib import Path

from qemunet_tests import trust

#: Where servers lie; an ordinary user's PATH often leaves these folders out.
SYSTEM_PATH = "/usr/local/sbin:/usr/sbin:/sbin"


def search_path(*more: str, environment: Mapping[str, str] = os.environ) -> str:
    """PATH, and further folders behind it.

    An empty or relative entry is whatever folder the caller is in. For root, a folder that somebody else owns, that
    everybody may write to, or somebody whom an access control list names, is as bad: his program would be run in the
    place of the one that is missed. So is what lies in such a folder. Debian's /usr/local is its group's to write to.
    """
    entries = ":".join((environment.get("PATH", ""), *more)).split(":")
    return ":".join(entry for entry in entries if entry.startswith("/") and not _is_others(entry))


def _is_others(folder: str) -> bool:
    if os.geteuid() != 0:
        return False
    try:
        if trust.against_the_way_to(Path(folder) / "any", any_group=True):
            return True
        itself = Path(folder).resolve()
        return trust.written_by_others(itself, itself.stat(), any_group=True)
    except OSError:
        return False
