"""The host's own account of TCP connections: the kernel's tcp_info by sock_diag, last words included.

Sources: linux/inet_diag.h, linux/sock_diag.h; sock_diag(7). pyroute2 knows the messages.
"""

import errno
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pyroute2.netlink import NETLINK_SOCK_DIAG, NLM_F_MATCH, NLM_F_REQUEST, NLM_F_ROOT
from pyroute2.netlink.diag import SKNLGRP_INET_TCP_DESTROY, SOCK_DIAG_BY_FAMILY, inet_diag_msg, inet_diag_req

from qemunet_tests.host import socket_table
from qemunet_tests.isolation.station import Station

HEADER_BYTES = 16
INET_DIAG_INFO = 2
#: Every state but LISTEN, and those in which nothing is left to move: hundreds of connections wait in TIME_WAIT.
CONNECTED = 0xFFF & ~(1 << 10 | 1 << 6 | 1 << 7)
ANSWER_BYTES = 1 << 18
#: Where linux/inet_diag.h has the two ports: after the header, and four bytes about the socket.
PORTS, PORTS_AT = struct.Struct("!HH"), HEADER_BYTES + 4

Ends = tuple[str, int, str, int]


@dataclass(frozen=True)
class Connection:
    """One end of a TCP connection. `ends` are its own address and port and the other's."""

    ends: Ends
    inode: int
    acked_bytes: int
    received_bytes: int
    retransmits: int


class Account:
    """Asks one station's kernel about its connections, and hears of those that end."""

    def __init__(self, station: Station) -> None:
        with station.entered():
            self._asking = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_SOCK_DIAG)
            self._hearing = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_SOCK_DIAG)
        self._asking.settimeout(2.0)
        self._hearing.bind((0, 1 << (SKNLGRP_INET_TCP_DESTROY - 1)))
        self._hearing.setblocking(False)

    def close(self) -> None:
        self._asking.close()
        self._hearing.close()

    def alive(self, port: int) -> list[Connection]:
        """Every IPv4 connection that has this port at either end."""
        request = inet_diag_req()
        request["sdiag_family"] = socket.AF_INET
        request["sdiag_protocol"] = socket.IPPROTO_TCP
        request["idiag_states"] = CONNECTED
        request["idiag_ext"] = 1 << (INET_DIAG_INFO - 1)
        request["header"]["type"] = SOCK_DIAG_BY_FAMILY
        request["header"]["flags"] = NLM_F_REQUEST | NLM_F_ROOT | NLM_F_MATCH
        request.encode()
        self._asking.send(request.data)
        found: list[Connection] = []
        while True:
            answer = self._asking.recv(ANSWER_BYTES)
            for kind, message in _messages(answer):
                if kind != SOCK_DIAG_BY_FAMILY:
                    return found
                found += _connection(message, port)

    def ended(self, port: int) -> Iterator[Connection]:
        """Connections with this port that ended since this was last asked, with their final counts."""
        while True:
            try:
                heard = self._hearing.recv(ANSWER_BYTES)
            except BlockingIOError:
                return
            except OSError as error:
                # So many ended that the kernel could not tell of all: those it told of wait behind.
                if error.errno == errno.ENOBUFS:
                    continue
                raise
            for _, message in _messages(heard):
                yield from _connection(message, port)


def _messages(received: bytes) -> Iterator[tuple[int, bytes]]:
    start = 0
    while start + HEADER_BYTES <= len(received):
        length = int.from_bytes(received[start : start + 4], "little")
        kind = int.from_bytes(received[start + 4 : start + 6], "little")
        yield kind, received[start : start + length]
        start += (length + 3) & ~3


def _connection(message: bytes, port: int) -> list[Connection]:
    # Decoding takes a millisecond, and request-response leaves thousands of messages about other ports.
    if port not in PORTS.unpack_from(message, PORTS_AT):
        return []
    said: Any = inet_diag_msg(message)
    said.decode()
    info = said.get_attr("INET_DIAG_INFO")
    if info is None:
        return []
    ends = (said["idiag_src"], said["idiag_sport"], said["idiag_dst"], said["idiag_dport"])
    counts = (info["tcpi_bytes_acked"], info["tcpi_bytes_received"], info["tcpi_total_retrans"])
    return [Connection(ends, said["idiag_inode"], *counts)]


def listening(station: Station, port: int) -> bool:
    """Whether somebody accepts TCP connections here; what is left of earlier ones has the port as well."""
    with station.entered():
        return bool(socket_table.listening("tcp", port))
