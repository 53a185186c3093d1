"""Who says that a connection of the host's own leads nowhere, and in which words: what a firewall rejects is told so.

A machine at whose port nobody listens answers by a reset, which anybody on the way can send as well. Sources: RFC 792
and RFC 1812, 5.2.7.1; RFC 4443, 3.1; ip(7) and recv(2) of IP_RECVERR and MSG_ERRQUEUE.
"""

import socket
import struct
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import ip_address

from qemunet_tests.isolation.station import Station
from qemunet_tests.network.target import Endpoint

#: By version of IP: level, option, what the kernel calls ICMP there, its type "destination unreachable", and where in
#: the address of who said so his own stands.
_ASKED = {4: (socket.IPPROTO_IP, 11, 2, 3, slice(4, 8)), 6: (socket.IPPROTO_IPV6, 25, 3, 1, slice(8, 24))}
#: What only a rule says of TCP, by version and code.
_REJECTED = {
    4: {3: "port unreachable", 9: "network prohibited", 10: "host prohibited", 13: "communication prohibited"},
    6: {1: "prohibited", 4: "port unreachable", 5: "source address failed policy", 6: "reject route"},
}
#: Where a connection was refused at once before.
_WITHIN_SECONDS = 3.0
_EXTENDED = struct.Struct("=IBBBBII")
_ROOM_BYTES = 512


@dataclass(frozen=True)
class Rejection:
    """Who rejects, and what ICMP calls it."""

    by: str
    words: str


def rejection(host: Station, service: Endpoint) -> Rejection | None:
    """What ICMP says of a connection that is opened now, if only a rule of a firewall can have had it said."""
    level, option, origin, unreachable, own = _ASKED[service.version]
    with host.open_socket(to=service.address) as calling:
        calling.setsockopt(level, option, 1)
        calling.settimeout(_WITHIN_SECONDS)
        with suppress(OSError):
            calling.connect((service.address, service.port))
        try:
            _, said, _, _ = calling.recvmsg(0, _ROOM_BYTES, socket.MSG_ERRQUEUE)
        except OSError:  # nobody said anything
            return None
    for at_level, kind, data in said:
        if (at_level, kind) != (level, option):
            continue
        _, of, icmp_type, code, *_ = _EXTENDED.unpack_from(data)
        words = _REJECTED[service.version].get(code)
        if (of, icmp_type) == (origin, unreachable) and words:
            return Rejection(str(ip_address(data[_EXTENDED.size :][own])), words)
    return None
