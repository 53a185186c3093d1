"""TCP and UDP services on every station: what is sent comes back, and who sent it is remembered."""

import contextlib
import selectors
import socket
import threading
from dataclasses import dataclass

from qemunet_tests.isolation.station import Station

CHUNK_BYTES = 65536
#: A client that takes nothing for so long is gone; one on a busy machine may just be slow.
SENDING_SECONDS = 60.0


@dataclass(frozen=True)
class Caller:
    """Someone who used a service: at which station, by which protocol, from which address."""

    station: str
    protocol: str
    address: str
    port: int


class EchoService:
    """One thread that serves sockets of many stations; a socket stays at the station where it was made."""

    def __init__(self) -> None:
        self.callers: list[Caller] = []
        #: Station, address and port of every service.
        self.places: list[tuple[Station, str, int]] = []
        self._selector = selectors.DefaultSelector()
        self._wake, self._woken = socket.socketpair()
        self._selector.register(self._woken, selectors.EVENT_READ, None)
        self._thread = threading.Thread(target=self._serve, name="echo", daemon=True)
        self._thread.start()

    def open_at(self, station: Station, address: str, port: int) -> None:
        """Listen for TCP and UDP at one address of a station."""
        self.places.append((station, address, port))
        for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
            listener = station.open_socket(kind, address)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((address, port))
            if kind == socket.SOCK_STREAM:
                listener.listen()
            listener.setblocking(False)
            self._selector.register(listener, selectors.EVENT_READ, station.name)
        self._wake.send(b"x")

    def close(self) -> None:
        self._wake.close()
        self._thread.join()

    def _serve(self) -> None:
        while True:
            for key, _ in self._selector.select():
                served: socket.socket = key.fileobj  # type: ignore[assignment]
                if served is self._woken:
                    if not served.recv(CHUNK_BYTES):
                        return self._end()
                elif served.type == socket.SOCK_DGRAM:
                    self._answer_datagram(served, key.data)
                elif key.data is not None:
                    self._accept(served, key.data)
                else:
                    self._answer_stream(served)

    def _accept(self, listener: socket.socket, station: str) -> None:
        connection, (address, port, *_) = listener.accept()
        self.callers.append(Caller(station, "tcp", address, port))
        # A client that sends faster than it reads is held back by its own window: answers are sent blocking.
        connection.settimeout(SENDING_SECONDS)
        self._selector.register(connection, selectors.EVENT_READ, None)

    def _answer_datagram(self, served: socket.socket, station: str) -> None:
        with contextlib.suppress(OSError):
            datagram, sender = served.recvfrom(CHUNK_BYTES)
            self.callers.append(Caller(station, "udp", *sender[:2]))
            served.sendto(datagram, sender)

    def _answer_stream(self, connection: socket.socket) -> None:
        try:
            received = connection.recv(CHUNK_BYTES)
            connection.sendall(received)
        except OSError:
            received = b""
        if not received:
            self._selector.unregister(connection)
            connection.close()

    def _end(self) -> None:
        for key in list(self._selector.get_map().values()):
            key.fileobj.close()  # type: ignore[union-attr]
        self._selector.close()
