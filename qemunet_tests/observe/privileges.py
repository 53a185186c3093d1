"""What a guest's QEMU may do on its host."""

from dataclasses import dataclass
from pathlib import Path

from qemunet_tests.guest.guest import Guest

#: Numbers of capability.h; others than these are shown as numbers.
NET_RAW = 13
NAMES = {10: "net_bind_service", 12: "net_admin", NET_RAW: "net_raw", 21: "sys_admin"}


@dataclass(frozen=True)
class Privileges:
    """The user that QEMU runs as, all its groups, and the capabilities that it has or could take up, by number."""

    uid: int
    groups: frozenset[int]
    capabilities: frozenset[int]

    @property
    def none(self) -> bool:
        """Whether this is an ordinary user without any capability."""
        return self.uid != 0 and not self.capabilities

    def __str__(self) -> str:
        held = ", ".join(NAMES.get(number, str(number)) for number in sorted(self.capabilities))
        return f"QEMU runs as user {self.uid} with {held or 'no capability'}"


def privileges(guest: Guest) -> Privileges:
    """Those of the QEMU that runs a guest. Sources: proc(5), capabilities(7)."""
    lines = Path(f"/proc/{guest.qemu.process.pid}/status").read_text().splitlines()
    said = {name: value.split() for name, _, value in (line.partition(":") for line in lines)}
    held = int(said["CapEff"][0], 16) | int(said["CapPrm"][0], 16)
    return Privileges(
        uid=int(said["Uid"][1]),
        groups=frozenset(int(word) for word in (said["Gid"][1], *said["Groups"])),
        capabilities=frozenset(number for number in range(64) if held >> number & 1),
    )
