"""Whether QEMU could listen on a port, and who keeps it from doing so.

QEMU itself says neither the errno nor the owner. Source: ip(7).
"""

import errno
import os
import socket
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from qemunet_tests.host import process_table, socket_table
from qemunet_tests.host.files import MACHINE, read_int
from qemunet_tests.host.obstacle import Obstacle
from qemunet_tests.host.socket_table import Protocol
from qemunet_tests.user_names import user_name


@dataclass(frozen=True)
class PortOwner:
    """A process that listens. `pid` is None where it cannot be seen, `user` is then all that is known of it."""

    pid: int | None
    command: str | None
    user: str | None = None


@dataclass(frozen=True)
class LocalPort:
    """A port on all addresses, as `hostfwd=tcp::2222-:22` asks for it."""

    number: int
    bind_errno: int | None
    owner: PortOwner | None = None
    first_unprivileged: int = 1024
    protocol: Protocol = "tcp"

    @property
    def name(self) -> str:
        return f"port {self.number}" if self.protocol == "tcp" else f"UDP port {self.number}"

    def obstacle(self) -> Obstacle | None:
        """Why a guest's port cannot be forwarded here."""
        if self.bind_errno is None:
            return None
        if self.bind_errno == errno.EADDRINUSE:
            return self._taken()
        if self.bind_errno == errno.EACCES:
            return Obstacle(
                f"{self.name} is below {self.first_unprivileged}, where only root may listen",
                f"use a port from {self.first_unprivileged} on",
            )
        return Obstacle(f"{self.name} cannot be listened on: {os.strerror(self.bind_errno)}", "use another port")

    def _taken(self) -> Obstacle:
        if self.owner is None or self.owner.pid is None:
            of = self.owner.user if self.owner and self.owner.user else "another user"
            options = "-ltnp" if self.protocol == "tcp" else "-lunp"
            who, remedy = f"a process of {of}", f"see which: sudo ss {options} sport = :{self.number}"
        else:
            who, remedy = f"{self.owner.command} (pid {self.owner.pid})", f"kill {self.owner.pid}"
        return Obstacle(f"{self.name} is taken by {who}", f"{remedy}, or forward another port")


def try_listen(number: int, protocol: Protocol = "tcp") -> int | None:
    """None when this process could listen on all addresses as libslirp does, else the errno."""
    kind = socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM
    with socket.socket(socket.AF_INET, kind) as tried:
        if protocol == "tcp":
            tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            tried.bind(("0.0.0.0", number))
            if protocol == "tcp":
                tried.listen(1)
        except OSError as refused:
            return refused.errno
    return None


def read(number: int, root: Path = MACHINE, protocol: Protocol = "tcp") -> LocalPort:
    """Try the port on this machine."""
    failed = try_listen(number, protocol)
    found = owner(number, root, protocol) if failed == errno.EADDRINUSE else None
    limit = read_int(root, "/proc/sys/net/ipv4/ip_unprivileged_port_start")
    return LocalPort(number, failed, found, 1024 if limit is None else limit, protocol)


def owner(number: int, root: Path = MACHINE, protocol: Protocol = "tcp") -> PortOwner | None:
    """Who listens on the port, or None where nobody does."""
    sockets = {each.inode: each for each in socket_table.listening(protocol, number, root)}
    if not sockets:
        return None
    for pid in process_table.pids(root):
        with suppress(OSError):
            if not sockets.keys().isdisjoint(socket_table.held_by(pid, root)):
                return PortOwner(pid, process_table.name(pid, root))
    return PortOwner(None, None, user_name(next(iter(sockets.values())).uid))
