"""A station: one network stack of the lab, and what can be done from there."""

import contextlib
import shlex
import socket
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from pyroute2 import IPRoute

from qemunet_tests.host import socket_table
from qemunet_tests.host.asking import Completed
from qemunet_tests.host.socket_table import Protocol
from qemunet_tests.isolation import namespaces
from qemunet_tests.isolation.processes import Process, Spawner
from qemunet_tests.timeouts import turns

#: What `open_socket` takes, by the protocol's name.
SOCKETS = {"TCP": socket.SOCK_STREAM, "UDP": socket.SOCK_DGRAM}


class Station:
    """A network namespace with a name; the namespace lives as long as this object holds it open."""

    def __init__(self, name: str, network: int, spawner: Spawner, ours: bool = True) -> None:
        """`ours` is false for the machine's own network: nothing of that is changed."""
        self.name = name
        self.network = network
        self._spawner = spawner
        self._given: set[tuple[Protocol, int]] = set()
        if ours:
            self.bring_up("lo")

    @contextlib.contextmanager
    def entered(self) -> Iterator[None]:
        """The calling thread is at this station for a while."""
        with namespaces.inside(self.network):
            yield

    @cached_property
    def netlink(self) -> IPRoute:
        """The station's links, addresses and routes, by pyroute2. The socket stays here wherever it is used."""
        with self.entered():
            return IPRoute()

    def open_socket(self, kind: socket.SocketKind = socket.SOCK_STREAM, to: str = "") -> socket.socket:
        """A socket of this station for addresses of the family of `to`, IPv4 without any."""
        with self.entered():
            return socket.socket(socket.AF_INET6 if ":" in to else socket.AF_INET, kind)

    def connect(self, address: str, port: int, within_seconds: float = 5.0) -> socket.socket:
        """A TCP connection from here, tried again where there is no answer. Raises OSError, TimeoutError included."""
        late = TimeoutError("timed out")
        for patience_seconds in turns(within_seconds):
            try:
                return self._connect(address, port, patience_seconds)
            except TimeoutError as error:
                late = error
        raise late

    def _connect(self, address: str, port: int, within_seconds: float) -> socket.socket:
        connection = self.open_socket(to=address)
        try:
            connection.settimeout(within_seconds)
            connection.connect((address, port))
        except OSError:
            connection.close()
            raise
        return connection

    def run(self, command: str, within_seconds: float = 10.0) -> Completed:
        """Run a shell command here, to ask. Any status is an answer. Raises TimedOut."""
        return self._spawner.run(["sh", "-c", command], network=self.network, within_seconds=within_seconds)

    def ask(self, words: Sequence[str]) -> Completed:
        """Ask a program here, for a reader of the host. Raises TimedOut."""
        return self.run(shlex.join(words))

    def start(self, words: Sequence[str], **options: Any) -> Process:
        """Start a program here that goes on running."""
        return self._spawner.start(words, network=self.network, **options)

    def set_sysctl(self, name: str, value: str) -> None:
        """Set a sysctl of this network stack, for instance `net.ipv4.ip_forward`."""
        with self.entered():
            Path("/proc/sys", name.replace(".", "/")).write_text(value)

    def sysctl(self, name: str) -> str:
        """As sysctl(8) spells it: with dots, or where an interface's name may have one, with slashes."""
        with self.entered():
            return Path("/proc/sys", name if "/" in name else name.replace(".", "/")).read_text().strip()

    def index(self, link: str) -> int | None:
        """The number of a link, None where there is no such link."""
        found = self.netlink.link_lookup(ifname=link)
        return found[0] if found else None

    def link(self, name: str) -> dict[str, Any] | None:
        """What the kernel says of a link, as pyroute2 attributes; None where there is no such link."""
        index = self.index(name)
        return None if index is None else dict(self.netlink.get_links(index)[0])

    def bring_up(self, link: str) -> None:
        self.netlink.link("set", index=self.index(link), state="up")

    def bring_down(self, link: str) -> None:
        self.netlink.link("set", index=self.index(link), state="down")

    def free_port(self, protocol: Protocol, first: int) -> int:
        """A port from `first` upwards that no socket here is bound to, and that nobody was given before."""
        ports = (port for port in range(first, 1 << 16) if (protocol, port) not in self._given)
        free = next(port for port in ports if not self.listens(protocol, port))
        self._given.add((protocol, free))
        return free

    def listens(self, protocol: Protocol, port: int) -> bool:
        """Whether any socket here is bound to `port`."""
        with self.entered():
            return any(each.port == port for each in socket_table.bound(protocol))
