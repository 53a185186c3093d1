"""The far end of a guest's connections: sockets at a station, whose every byte and ending is told."""

import contextlib
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from qemunet_tests.deadline import Deadline
from qemunet_tests.errors import ControlFailed
from qemunet_tests.host import socket_table
from qemunet_tests.isolation.station import SOCKETS, Station

#: Who waits for the other end of a connection that works waits in vain, after so long.
PATIENCE_SECONDS = 20.0
#: struct linger of socket(7): on, and no time, so that close(2) resets.
RESET_AT_CLOSE = struct.pack("ii", 1, 0)


@dataclass(frozen=True)
class ReceivedStream:
    """All that came at one end of a connection, and how it ended: `end`, `reset`, or `silence` where it did not."""

    data: bytes
    ending: str

    def __str__(self) -> str:
        return f"{len(self.data)} bytes, then {self.ending}"


@contextlib.contextmanager
def serving(station: Station, address: str, protocol: str = "TCP", queue: int = 8) -> Iterator[socket.socket]:
    """A socket at a station that takes connections or datagrams, at a port that was free."""
    with station.open_socket(SOCKETS[protocol], address) as listening:
        listening.settimeout(PATIENCE_SECONDS)
        listening.bind((address, 0))
        if protocol == "TCP":
            listening.listen(queue)
        yield listening


@contextlib.contextmanager
def unserved(station: Station, address: str) -> Iterator[int]:
    """A TCP port at which nobody listens as long as this lasts: it is taken, and no more."""
    with station.open_socket(to=address) as owner:
        owner.bind((address, 0))
        yield owner.getsockname()[1]


def closed_udp_port(station: Station, address: str) -> int:
    """A UDP port that was free just now."""
    with station.open_socket(socket.SOCK_DGRAM, address) as owner:
        owner.bind((address, 0))
        return int(owner.getsockname()[1])


def require_lingering(station: Station, port: int) -> None:
    """The end of a connection that was closed first lingers at this TCP port of a station. Raises ControlFailed.

    Whoever wants the port without SO_REUSEADDR is refused meanwhile: that is tried as well.
    """
    with station.entered():
        lingers = Deadline(PATIENCE_SECONDS, "an end to linger").sees(
            lambda: socket_table.lingers(port), interval_seconds=0.05
        )
    if not lingers:
        raise ControlFailed(f"no connection lingers at port {port} of the host (TIME_WAIT)")
    with station.open_socket() as careless, contextlib.suppress(OSError):
        careless.bind(("127.0.0.1", port))
        raise ControlFailed(f"the host gives port {port} to everybody, though a connection lingers there (TIME_WAIT)")


class NoCaller(AssertionError):
    """What was to come to a station has not come: an answer about the promise."""


def accepted(listening: socket.socket) -> socket.socket:
    """The next connection, its reads and writes limited in time. Raises NoCaller."""
    try:
        connection, _ = listening.accept()
    except TimeoutError:
        raise NoCaller(f"nobody calls {_named(listening)}") from None
    connection.settimeout(PATIENCE_SECONDS)
    return connection


def datagram(service: socket.socket) -> tuple[bytes, tuple[str, int]]:
    """The next datagram, and who sent it. Raises NoCaller."""
    try:
        data, sender = service.recvfrom(65536)
    except TimeoutError:
        raise NoCaller(f"no datagram comes to {_named(service)}") from None
    return data, sender


def _named(service: socket.socket) -> str:
    address, port = service.getsockname()
    return f"{address}:{port}"


def received(end: socket.socket, count: int) -> bytes:
    """So many bytes that come at one end of a connection, or what came of them until its end or a time-out."""
    got = bytearray()
    with contextlib.suppress(OSError):
        while len(got) < count and (more := end.recv(count - len(got))):
            got += more
    return bytes(got)


def taken_to_end(end: socket.socket) -> ReceivedStream:
    """Read a connection to its end."""
    got = bytearray()
    try:
        while more := end.recv(65536):
            got += more
    except TimeoutError:
        return ReceivedStream(bytes(got), "silence")
    except ConnectionResetError:
        return ReceivedStream(bytes(got), "reset")
    return ReceivedStream(bytes(got), "end")


def abort(end: socket.socket) -> None:
    """Take a connection away, with a reset."""
    end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_AT_CLOSE)
    end.close()


def answer_at(station: Station, service: tuple[str, int]) -> str:
    """Whether anybody answers at an address and port: `answers`, or the error with which nobody does."""
    try:
        station.connect(*service).close()
    except OSError as refusal:
        return refusal.strerror or str(refusal)
    return "answers"
