"""TCP and UDP sockets of the network namespace that the caller stands in, and which of them a process holds.

Sources: proc(5), net/tcp_states.h of the kernel.
"""

import re
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path
from typing import Literal

from qemunet_tests.host.files import MACHINE, net_table, under

Protocol = Literal["tcp", "udp"]

#: The state of a socket that waits for anybody: TCP_LISTEN, and TCP_CLOSE for one that is not connected.
_WAITING = {"tcp": "0A", "udp": "07"}
#: TCP_TIME_WAIT, of whoever closed first.
_LINGERS = "06"
_WORD_BYTES = 4


@dataclass(frozen=True)
class BoundSocket:
    """A socket by its own end; `waits`: it takes what comes from anybody."""

    protocol: Protocol
    address: IPv4Address | IPv6Address
    port: int
    waits: bool
    uid: int
    inode: int

    def __str__(self) -> str:
        host = f"[{self.address}]" if self.address.version == 6 else str(self.address)
        return f"{self.protocol} {host}:{self.port}"


def bound(protocol: Protocol, root: Path = MACHINE) -> Iterator[BoundSocket]:
    """Every socket of this namespace, those of IPv4 first."""
    for table in (protocol, f"{protocol}6"):
        for row in net_table(root, table):
            address, _, port = row[1].partition(":")
            waits = row[3] == _WAITING[protocol]
            yield BoundSocket(protocol, _address(address), int(port, 16), waits, int(row[7]), int(row[9]))


def listening(protocol: Protocol, port: int, root: Path = MACHINE) -> list[BoundSocket]:
    """Those that wait for anybody at a port."""
    return [each for each in bound(protocol, root) if each.waits and each.port == port]


def is_answered(protocol: Protocol, address: str, port: int) -> bool:
    """Whether a program here waits for whoever calls an address, be it this host's own or not."""
    return any(each.address.is_unspecified or str(each.address) == address for each in listening(protocol, port))


def lingers(port: int, root: Path = MACHINE) -> bool:
    """Whether the end of a TCP connection that is over lingers at a port."""
    rows = (row for table in ("tcp", "tcp6") for row in net_table(root, table))
    return any(row[3] == _LINGERS and int(row[1].rpartition(":")[2], 16) == port for row in rows)


def held_by(pid: int, root: Path = MACHINE) -> set[int]:
    """The inodes of the sockets that a process holds. Raises OSError where it is gone or may not be asked."""
    found = set()
    for descriptor in under(root, f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # closed meanwhile
            match = re.fullmatch(r"socket:\[(\d+)\]", str(descriptor.readlink()))
            found |= {int(match[1])} if match else set()
    return found


def _address(hexadecimal: str) -> IPv4Address | IPv6Address:
    # Printed as the numbers that the processor sees in memory, four bytes each.
    raw = bytes.fromhex(hexadecimal)
    words = [int.from_bytes(raw[at : at + _WORD_BYTES]) for at in range(0, len(raw), _WORD_BYTES)]
    return ip_address(b"".join(word.to_bytes(_WORD_BYTES, sys.byteorder) for word in words))
