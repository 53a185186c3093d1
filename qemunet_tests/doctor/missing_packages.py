"""What the remedies install one by one, in one command: for whoever has installed qemunet and nothing else yet."""

import re
import shutil
from collections.abc import Iterable, Sequence
from ctypes.util import find_library

from qemunet_tests.host.asking import PROGRAM_FOLDERS
from qemunet_tests.host.package_manager import INSTALL
from qemunet_tests.host.system import HostSystem

_INSTALLS = re.compile(rf"((?:sudo )?(?:{'|'.join(map(re.escape, dict.fromkeys(INSTALL.values())))})) (\S+)")


#: What a whole run asks for besides, by program, and the package of Debian that has it.
OF_A_RUN = {
    "ip": "iproute2",
    "iperf3": "iperf3",
    "mcopy": "mtools",
    "mkfs.fat": "dosfstools",
    "netplan": "netplan.io",
    "nft": "nftables",
    "ping": "iputils-ping",
    "smbd": "samba",
    "syslinux": "syslinux",
    "vde_switch": "vde2",
}


def missing_of_a_run(machine: HostSystem) -> list[str]:
    """Packages for programs that are not there, on Debian and what comes of it; elsewhere names are others."""
    if not {"debian", "ubuntu"} & set(machine.families):
        return []
    missing = [package for program, package in OF_A_RUN.items() if not shutil.which(program, path=PROGRAM_FOLDERS)]
    if find_library("archive") is None:
        # On Debian 13 another name provides it.
        missing.append("libarchive13")
    return missing


def in_one_command(remedies: Iterable[str | None], more: Sequence[str] = ()) -> str | None:
    """The command that installs all packages that remedies are about, and `more`; None where that is fewer than two."""
    found = [match for remedy in remedies if remedy and (match := _INSTALLS.fullmatch(remedy))]
    packages = list(dict.fromkeys([*(match[2] for match in found), *more]))
    return f"{found[0][1]} {' '.join(packages)}" if found and len(packages) > 1 else None
