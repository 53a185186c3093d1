"""SELinux and AppArmor, as far as they concern QEMU, its bridge helper, passt, or the programs of the lab.

Sources: selinux(8), apparmor(7), proc(5) on attr/current.
"""

import re
from dataclasses import dataclass
from pathlib import Path

from qemunet_tests.host.files import MACHINE, names_in, read_int, read_text, under

#: Programs that matter here, by what their AppArmor profiles are called.
_CONCERNED = ("qemu", "passt", "dnsmasq")
_PROFILES = "/etc/apparmor.d"


@dataclass(frozen=True)
class Confinement:
    """`selinux` is enforcing, permissive or None; `label` is what confines this very process, None where nothing does.

    `profiles` are files of AppArmor's profiles, not only complaining, about programs that matter here.
    """

    selinux: str | None = None
    apparmor: bool = False
    label: str | None = None
    profiles: tuple[str, ...] = ()

    def profile_of(self, program: str) -> str | None:
        """The file of the profile that confines a program."""
        return next((path for path in self.profiles if program in path), None)


def read(root: Path = MACHINE) -> Confinement:
    """What the kernel and the folder of profiles say; whether a profile is loaded only root could see."""
    enforce = read_int(root, "/sys/fs/selinux/enforce")
    apparmor = read_text(root, "/sys/module/apparmor/parameters/enabled") == "Y"
    return Confinement(
        selinux=None if enforce is None else ("enforcing" if enforce else "permissive"),
        apparmor=apparmor,
        label=_label(read_text(root, "/proc/self/attr/current") or "", enforce == 1, apparmor),
        profiles=tuple(_profiles(root)) if apparmor else (),
    )


def _label(current: str, selinux: bool, apparmor: bool) -> str | None:
    current = current.rstrip("\0\n ")
    if selinux and current.count(":") >= 2:
        kind = current.split(":")[2]
        return None if kind in ("unconfined_t", "kernel_t", "init_t", "initrc_t") else current
    return current if apparmor and current.endswith("(enforce)") else None


def _profiles(root: Path) -> list[str]:
    switched_off = names_in(root, f"{_PROFILES}/disable")
    return [
        f"{_PROFILES}/{name}"
        for name in names_in(root, _PROFILES)
        if any(program in name for program in _CONCERNED)
        and under(root, f"{_PROFILES}/{name}").is_file()
        and name not in switched_off
        and not re.search(r"flags=\([^)]*complain", read_text(root, f"{_PROFILES}/{name}") or "")
    ]
