"""A guest's QEMU on its host: what it may do, what it holds open, and what its monitor says of its backends."""

import contextlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from qemunet_tests.errors import Unavailable
from qemunet_tests.guest.guest import Guest
from qemunet_tests.host import credentials, socket_table
from qemunet_tests.host.credentials import Credentials
from qemunet_tests.isolation.station import Station
from qemunet_tests.qemu.command_line import QemuProcess

BACKEND = re.compile(r"^\s*\\?\s*(?P<id>net\d+): index=\d+,type=(?P<type>[\w-]+)(?:,(?P<rest>.*))?$", re.MULTILINE)


def privileges(guest: Guest) -> Credentials:
    """Those of the QEMU that runs a guest."""
    return credentials.read(pid=guest.qemu.process.pid)


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
    return tap_held_by(guest.qemu)


def tap_held_by(qemu: QemuProcess) -> str | None:
    """The same of any QEMU."""
    with _permitted():
        every = list(Path(f"/proc/{qemu.process.pid}/fdinfo").iterdir())
    for descriptor in every:
        match = re.search(r"^iff:\s*(\S+)", descriptor.read_text(), re.MULTILINE)
        if match:
            return match[1]
    return None


def listening_sockets(guest: Guest, station: Station) -> list[str]:
    """The addresses and ports at which this guest's QEMU accepts TCP or receives UDP, as `tcp 0.0.0.0:2222`."""
    with _permitted():
        inodes = socket_table.held_by(guest.qemu.process.pid)
    with station.entered():
        every = [*socket_table.bound("tcp"), *socket_table.bound("udp")]
    return [str(each) for each in every if each.waits and each.inode in inodes]


def sockets_open(qemu: QemuProcess) -> int:
    """How many sockets a QEMU has open; 0 where this user may not see another's."""
    with contextlib.suppress(PermissionError):
        return len(socket_table.held_by(qemu.process.pid))
    return 0


def zombies_of(qemu: QemuProcess) -> int:
    """How many programs that a QEMU has started have ended without its waiting for them: proc_pid_stat(5)."""
    found = 0
    for process in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # gone meanwhile
            state, parent, *_ = process.read_text().rpartition(")")[2].split()
            found += (state, int(parent)) == ("Z", qemu.process.pid)
    return found


def files_open(qemu: QemuProcess, folder: Path) -> list[str]:
    """The names of the files in a folder that a QEMU has open; none where this user may not see another's."""
    files = {(status.st_dev, status.st_ino): file.name for file in folder.iterdir() for status in [file.stat()]}
    opened = set()
    with contextlib.suppress(PermissionError):
        for descriptor in Path(f"/proc/{qemu.process.pid}/fd").iterdir():
            with contextlib.suppress(FileNotFoundError):  # closed meanwhile
                status = descriptor.stat()
                opened.add((status.st_dev, status.st_ino))
    return sorted(files[each] for each in opened & set(files))


@contextlib.contextmanager
def _permitted() -> Iterator[None]:
    """Raises Unavailable where this user may not ask what another's QEMU holds open."""
    try:
        yield
    except PermissionError:
        raise Unavailable(
            "root is without SYS_PTRACE here and may not see what another user's QEMU holds open",
            "start the container with --cap-add SYS_PTRACE, or as an ordinary user",
        ) from None
