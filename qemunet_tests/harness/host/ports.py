"""Whether QEMU could listen on a port, and who keeps it from doing so.

QEMU itself says neither the errno nor the owner. Sources: proc(5), ip(7).
"""

import errno
import os
import socket
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from qemunet_tests.harness.host.files import MACHINE, names_in, read_int, read_text, under
from qemunet_tests.harness.host.obstacle import Obstacle

_LISTENING = "0A"


@dataclass(frozen=True)
class Owner:
    """A process that listens. `pid` is None where the process belongs to somebody else."""

    pid: int | None
    command: str | None


@dataclass(frozen=True)
class Port:
    """A TCP port on all addresses, as `hostfwd=tcp::2222-:22` asks for it."""

    number: int
    bind_errno: int | None
    owner: Owner | None = None
    first_unprivileged: int = 1024

    def obstacle(self) -> Obstacle | None:
        """Why a guest's port cannot be forwarded here."""
        if self.bind_errno is None:
            return None
        if self.bind_errno == errno.EADDRINUSE:
            return self._taken()
        if self.bind_errno == errno.EACCES:
            return Obstacle(
                f"port {self.number} is below {self.first_unprivileged}, where only root may listen",
                f"use a port from {self.first_unprivileged} on",
            )
        return Obstacle(f"port {self.number} cannot be listened on: {os.strerror(self.bind_errno)}", "use another port")

    def _taken(self) -> Obstacle:
        if self.owner is None or self.owner.pid is None:
            who, remedy = "a process of another user", f"see who has it: sudo ss -ltnp sport = :{self.number}"
        else:
            who, remedy = f"{self.owner.command} (pid {self.owner.pid})", f"kill {self.owner.pid}"
        return Obstacle(f"port {self.number} is taken by {who}", f"{remedy}, or forward another port")


def try_listen(number: int) -> int | None:
    """None when this process could listen on all addresses as libslirp does, else the errno."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as tried:
        tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            tried.bind(("0.0.0.0", number))
            tried.listen(1)
        except OSError as refused:
            return refused.errno
    return None


def read(number: int, root: Path = MACHINE) -> Port:
    """Try the port on this machine."""
    failed = try_listen(number)
    found = owner(number, root) if failed == errno.EADDRINUSE else None
    limit = read_int(root, "/proc/sys/net/ipv4/ip_unprivileged_port_start")
    return Port(number, failed, found, 1024 if limit is None else limit)


def owner(number: int, root: Path = MACHINE) -> Owner | None:
    """Who listens on the TCP port, or None where nobody does."""
    sockets = set(_listening_sockets(number, root))
    if not sockets:
        return None
    for pid in filter(str.isdigit, names_in(root, "/proc")):
        for descriptor in names_in(root, f"/proc/{pid}/fd"):
            with suppress(OSError):
                if str(under(root, f"/proc/{pid}/fd/{descriptor}").readlink()) in sockets:
                    return Owner(int(pid), read_text(root, f"/proc/{pid}/comm"))
    return Owner(None, None)


def _listening_sockets(number: int, root: Path) -> Iterator[str]:
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in (read_text(root, table) or "").splitlines()[1:]:
            words = line.split()
            if words[3] == _LISTENING and int(words[1].rpartition(":")[2], 16) == number:
                yield f"socket:[{words[9]}]"
