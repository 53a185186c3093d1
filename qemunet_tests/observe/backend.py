"""What QEMU's network backend is, seen from the monitor and from the host."""

import re
from dataclasses import dataclass
from pathlib import Path

from qemunet_tests.errors import Unavailable
from qemunet_tests.guest.guest import Guest
from qemunet_tests.isolation.station import Station

BACKEND = re.compile(r"^\s*\\?\s*(?P<id>net\d+): index=\d+,type=(?P<type>[\w-]+)(?:,(?P<rest>.*))?$", re.MULTILINE)


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


def bridge_of(station: Station, link: str) -> str | None:
    """The bridge a link is enslaved to."""
    found = station.link(link)
    master = found and station.netlink.get_links(found["index"])[0].get("master")
    return station.netlink.get_links(master)[0].get("ifname") if master else None


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
