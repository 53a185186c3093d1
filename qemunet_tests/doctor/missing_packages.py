"""What the remedies install one by one, in one command: for whoever has installed qemunet and nothing else yet."""

import re
from collections.abc import Iterable

from qemunet_tests.host.package_manager import INSTALL

_INSTALLS = re.compile(rf"((?:sudo )?(?:{'|'.join(map(re.escape, dict.fromkeys(INSTALL.values())))})) (\S+)")


def in_one_command(remedies: Iterable[str | None]) -> str | None:
    """The command that installs all packages that remedies are about; None where that is fewer than two."""
    found = [match for remedy in remedies if remedy and (match := _INSTALLS.fullmatch(remedy))]
    packages = list(dict.fromkeys(match[2] for match in found))
    return f"{found[0][1]} {' '.join(packages)}" if len(packages) > 1 else None
