"""The other end of a QEMU's backend as a socket of ours: frames over a connection, or one in every datagram.

Over a connection every frame stands behind its length, four bytes of it, the highest first: net/socket.c, net/stream.c.
"""

import contextlib
import socket
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from qemunet_tests.deadline import Deadline
from qemunet_tests.guest.peer_frames import ETHERTYPE

if TYPE_CHECKING:
    from qemunet_tests.isolation.identity import Identity
    from qemunet_tests.isolation.station import Station

LENGTH_BYTES = 4
PATIENCE_SECONDS = 3.0
#: Of a QEMU that has started: it begins to listen a little later.
LISTENING_SECONDS = 5.0
LARGEST_DATAGRAM_BYTES = 1 << 16
#: linux/if_packet.h.
SOL_PACKET, PACKET_ADD_MEMBERSHIP, PACKET_MR_PROMISC = 263, 1, 1


class FrameStream:
    """A connection that carries frames."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._read = b""

    @property
    def own_address(self) -> str:
        """Of this end of a connection by TCP, as QEMU writes it: `127.0.0.1:40000`."""
        return ":".join(map(str, self._connection.getsockname()[:2]))

    def put(self, frame: bytes, in_pieces_of: int | None = None) -> None:
        """Send a frame, whole or so many bytes at a time."""
        whole = struct.pack(">I", len(frame)) + frame
        for at in range(0, len(whole), in_pieces_of or len(whole)):
            self._connection.sendall(whole[at : at + (in_pieces_of or len(whole))])

    def put_bytes(self, some: bytes) -> None:
        self._connection.sendall(some)

    def take(self, within_seconds: float = PATIENCE_SECONDS) -> bytes | None:
        """The next frame; None when none came in time, or the connection has ended."""
        length = self._exactly(LENGTH_BYTES, within_seconds)
        return None if length is None else self._exactly(struct.unpack(">I", length)[0], within_seconds)

    def ends(self, within_seconds: float = PATIENCE_SECONDS) -> bool:
        """Whether QEMU ends the connection."""
        self._connection.settimeout(within_seconds)
        try:
            return self._connection.recv(1) == b""
        except TimeoutError:
            return False
        except ConnectionError:
            return True

    def close(self) -> None:
        self._connection.close()

    def _exactly(self, count: int, within_seconds: float) -> bytes | None:
        self._connection.settimeout(within_seconds)
        with contextlib.suppress(TimeoutError, ConnectionError):
            while len(self._read) < count:
                if not (more := self._connection.recv(LARGEST_DATAGRAM_BYTES)):
                    return None
                self._read += more
            taken, self._read = self._read[:count], self._read[count:]
            return taken
        return None


class StationFrames:
    """A packet socket at a station's link: whole frames out, and in those of one kind, by their EtherType."""

    def __init__(self, station: "Station", link: str, kind: int) -> None:
        self._kind = kind
        with station.entered():
            self._own = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(kind))
        self._own.bind((link, kind))
        # What is for an address that the link has not is seen by who asks for it.
        self._own.setsockopt(SOL_PACKET, PACKET_ADD_MEMBERSHIP, _promiscuous(station.index(link) or 0))

    def put(self, frame: bytes) -> None:
        self._own.send(frame)

    def take(self, within_seconds: float = PATIENCE_SECONDS) -> bytes | None:
        """The next frame that came in; None when none came in time."""
        deadline = Deadline(within_seconds, "a frame")
        while not deadline.passed:
            self._own.settimeout(max(deadline.remaining_seconds, 0.001))
            try:
                frame, (_, _, direction, *_) = self._own.recvfrom(LARGEST_DATAGRAM_BYTES)
            except TimeoutError:
                return None
            if direction != socket.PACKET_OUTGOING:
                return frame
        return None

    def close(self) -> None:
        self._own.close()


def _promiscuous(index: int) -> bytes:
    """struct packet_mreq of packet(7)."""
    return struct.pack("iHH8s", index, PACKET_MR_PROMISC, 0, b"")


@contextlib.contextmanager
def frames_at(station: "Station", link: str) -> Iterator[StationFrames]:
    """A station's link, for frames of the kind that nobody else sends."""
    with contextlib.closing(StationFrames(station, link, ETHERTYPE)) as frames:
        yield frames


@contextlib.contextmanager
def listening(station: "Station", port: int, address: str = "127.0.0.1") -> Iterator[socket.socket]:
    """A socket at which QEMU may call, by TCP."""
    with station.open_socket(to=address) as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind((address, port))
        server.listen()
        server.settimeout(PATIENCE_SECONDS)
        yield server


@contextlib.contextmanager
def listening_at(path: str | Path) -> Iterator[socket.socket]:
    """The same at a path, or at an abstract name that begins with a zero."""
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        if isinstance(path, Path):
            path.chmod(0o666)
        server.listen()
        server.settimeout(PATIENCE_SECONDS)
        yield server


@contextlib.contextmanager
def accepted(server: socket.socket) -> Iterator[FrameStream]:
    """The connection of the next who calls. Raises TimeoutError where nobody does."""
    connection, _ = server.accept()
    with connection:
        yield FrameStream(connection)


def calls_again(server: socket.socket, within_seconds: float = 1.5) -> str:
    """Whether anybody calls, in words."""
    server.settimeout(within_seconds)
    try:
        with accepted(server):
            return "it calls again"
    except TimeoutError:
        return "no call"


@contextlib.contextmanager
def called(station: "Station", port: int, address: str = "127.0.0.1") -> Iterator[FrameStream]:
    """A connection to a QEMU that listens, or will: its monitor answers before. Raises TimedOut, OSError."""

    made: list[socket.socket] = []

    def is_taken() -> bool:
        with contextlib.suppress(ConnectionRefusedError):
            made.append(station.connect(address, port))
        return bool(made)

    Deadline(LISTENING_SECONDS, f"QEMU to listen at port {port}").wait_until(is_taken)
    with made[0] as connection:
        yield FrameStream(connection)


class FrameDatagrams:
    """A socket of which every datagram is a frame, or has one in it. Without `other` it is connected already."""

    def __init__(self, own: socket.socket, other: "tuple[str, int] | str | None" = None) -> None:
        self._own, self._other = own, other

    def put(self, datagram: bytes) -> None:
        if self._other is None:
            self._own.send(datagram)
        else:
            self._own.sendto(datagram, self._other)

    def take(self, within_seconds: float = PATIENCE_SECONDS) -> bytes | None:
        """The next datagram; None when none came in time."""
        self._own.settimeout(within_seconds)
        with contextlib.suppress(TimeoutError, ConnectionError):
            return self._own.recv(LARGEST_DATAGRAM_BYTES)
        return None


@contextlib.contextmanager
def datagrams(
    station: "Station", own_port: int, other_port: int, address: str = "127.0.0.1"
) -> Iterator[FrameDatagrams]:
    """UDP on the station's loopback."""
    with station.open_socket(socket.SOCK_DGRAM, to=address) as own:
        own.bind((address, own_port))
        yield FrameDatagrams(own, (address, other_port))


@contextlib.contextmanager
def datagrams_at(own_path: Path, other_path: Path, identity: "Identity") -> Iterator[FrameDatagrams]:
    """Unix sockets: ours, to which QEMU, which runs as that user, may write, and QEMU's."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as own:
        own.bind(str(own_path))
        identity.owns(own_path)
        yield FrameDatagrams(own, str(other_path))


@contextlib.contextmanager
def handed_over(kind: socket.SocketKind) -> "Iterator[tuple[int, FrameStream | FrameDatagrams]]":
    """A pair of connected sockets: the descriptor of the one that QEMU is given, and ours."""
    theirs, own = socket.socketpair(socket.AF_UNIX, kind)
    with theirs, own:
        yield theirs.fileno(), FrameStream(own) if kind == socket.SOCK_STREAM else FrameDatagrams(own)


@contextlib.contextmanager
def member_of(station: "Station", group: str, port: int, address: str) -> Iterator[FrameDatagrams]:
    """A member of a multicast group, on the link of the station's that has this address."""
    with station.open_socket(socket.SOCK_DGRAM, to=address) as own:
        own.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, socket.inet_aton(group) + socket.inet_aton(address))
        own.bind((group, port))
        yield FrameDatagrams(own, (group, port))
