"""Who calls a socket of ours by TCP: by which protocol, and whether his kernel probes the connection.

Sources: proc(5), net/tcp_ipv4.c and linux/in.h of the kernel.
"""

import contextlib
import socket
from collections.abc import Iterator
from typing import TYPE_CHECKING

from qemunet_tests.errors import Unavailable
from qemunet_tests.host.files import MACHINE, net_table

if TYPE_CHECKING:
    from qemunet_tests.isolation.station import Station

#: The timer of a connection that is probed while nobody sends anything: SO_KEEPALIVE. In the sixth column.
PROBING = "02:"
PATIENCE_SECONDS = 5.0
NAMES = {socket.IPPROTO_TCP: "TCP", socket.IPPROTO_MPTCP: "MPTCP"}


def is_probed(station: "Station", port: int) -> bool:
    """Whether who is connected to that port of the station's from the station itself probes whether he still is."""
    with station.entered():
        rows = net_table(MACHINE, "tcp")
    return any(row[2].endswith(f":{port:04X}") and row[5].startswith(PROBING) for row in rows)


@contextlib.contextmanager
def listening_by_mptcp(station: "Station", port: int) -> Iterator[socket.socket]:
    """A socket on the loopback at which one may call by TCP over several ways. Raises Unavailable without a kernel."""
    try:
        with station.entered():
            server = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_MPTCP)
    except OSError as error:
        remedy = "a kernel with CONFIG_MPTCP, in which net.mptcp.enabled is 1"
        raise Unavailable(f"the kernel has no MPTCP: {error.strerror}", remedy) from error
    with server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind(("127.0.0.1", port))
        server.listen()
        server.settimeout(PATIENCE_SECONDS)
        yield server


def protocol_of_next(server: socket.socket) -> str:
    """By which the next one calls. Raises TimeoutError where nobody does."""
    connection, _ = server.accept()
    with connection:
        # Who called by TCP is no connection of MPTCP.
        number = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PROTOCOL)
    return NAMES.get(number, str(number))
