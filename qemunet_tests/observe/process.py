"""A guest's QEMU on its host: what it may do, what it holds open, and what its monitor says of its backends."""

import re
from dataclasses import dataclass
from pathlib import Path

from qemunet_tests.errors import Unavailable
from qemunet_tests.guest.guest import Guest
from qemunet_tests.isolation.station import Station

#: Numbers of capability.h; others than these are shown as numbers.
NET_RAW = 13
NAMES = {10: "net_bind_service", 12: "net_admin", NET_RAW: "net_raw", 21: "sys_admin"}
BACKEND = re.compile(r"^\s*\\?\s*(?P<id>net\d+): index=\d+,type=(?P<type>[\w-]+)(?:,(?P<rest>.*))?$", re.MULTILINE)


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


@dataclass(frozen=True)
class Backend:
    """A line of `info network`: the backend's id, its type and the rest of the line."""

    identifier: str
    kind: str
    rest: str


def backends(guest: Guest) -> list[Backend]:
    """The backends the monitor knows of."""
    found = BACKEND.finditer(guest.monitor.ask("info network"))
    return [Backend(match["id"], match["type"], match["rest"] or "") for match in found]


def tap_of(guest: Guest) -> str | None:
    """The name of the tap device that this guest's QEMU holds open, by its file descriptors."""
    for descriptor in _held_open(guest, "fdinfo"):
        match = re.search(r"^iff:\s*(\S+)", descriptor.read_text(), re.MULTILINE)
        if match:
            return match[1]
    return None


def listening_sockets(guest: Guest, station: Station) -> list[str]:
    """The addresses and ports at which this guest's QEMU accepts TCP or receives UDP, as `tcp 0.0.0.0:2222`."""
    inodes = {_inode(link) for link in _held_open(guest, "fd")} - {None}
    found = []
    with station.entered():
        for protocol in ("tcp", "udp"):
            rows = [row.split() for row in Path(f"/proc/thread-self/net/{protocol}").read_text().splitlines()[1:]]
            found += [f"{protocol} {_address(row[1])}" for row in rows if row[9] in inodes and row[3] in ("0A", "07")]
    return found


def _held_open(guest: Guest, folder: str) -> list[Path]:
    """What /proc knows of the files of this guest's QEMU. Raises Unavailable where this user may not ask."""
    try:
        return list(Path(f"/proc/{guest.qemu.process.pid}/{folder}").iterdir())
    except PermissionError:
        raise Unavailable(
            "root is without SYS_PTRACE here and may not see what another user's QEMU holds open",
            "start the container with --cap-add SYS_PTRACE, or as an ordinary user",
        ) from None


def _inode(link: Path) -> str | None:
    try:
        match = re.fullmatch(r"socket:\[(\d+)\]", str(link.readlink()))
    except FileNotFoundError:
        return None
    return match[1] if match else None


def _address(hexadecimal: str) -> str:
    address, _, port = hexadecimal.partition(":")
    octets = [str(int(address[n : n + 2], 16)) for n in (6, 4, 2, 0)]
    return f"{'.'.join(octets)}:{int(port, 16)}"
