"""What an ICMP error says, and of which packet: RFC 792 and RFC 4443."""

import ipaddress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from qemunet_tests.guest.packet_content import (
    ICMP_NUMBER,
    ICMPV6_NUMBER,
    IPV6_HEADER_BYTES,
    TCP_NUMBER,
    UDP_NUMBER,
    addresses_of,
    content_of,
    protocol_of,
)

if TYPE_CHECKING:
    # scapy reads the machine's interfaces when it is imported: not before the lab has been entered.
    from scapy.packet import Packet

#: The types of messages that say what became of a packet.
TYPES = {3: "unreachable", 11: "time exceeded"}
IPV6_TYPES = {1: "unreachable", 2: "too big", 3: "time exceeded"}
#: In front of the packet that is quoted; and where that says whom it was for.
HEADER_BYTES, TARGET_AT, IPV6_TARGET_AT = 8, 16, 24
PROTOCOLS = {TCP_NUMBER: "TCP", UDP_NUMBER: "UDP"}


@dataclass(frozen=True)
class IcmpError:
    """Who says what; and of which packet: for whom, by which protocol, and what it carried, as far as `quoted`."""

    source: str
    type: int
    code: int
    target: str = field(default="", compare=False)
    protocol: str = field(default="", compare=False)
    quoted: bytes = field(default=b"", compare=False, repr=False)

    @property
    def ports(self) -> tuple[int, int]:
        """Those of the packet, where it is of TCP or UDP."""
        return int.from_bytes(self.quoted[:2]), int.from_bytes(self.quoted[2:4])

    def __str__(self) -> str:
        names = IPV6_TYPES if ":" in self.source else TYPES
        return f"{names.get(self.type, 'error')} (type {self.type}, code {self.code}) from {self.source}"


def icmp_error(frame: "Packet") -> IcmpError | None:
    """The error that a frame carries; None where it carries something else, or quotes nothing."""
    number = protocol_of(frame)
    types = {ICMP_NUMBER: TYPES, ICMPV6_NUMBER: IPV6_TYPES}.get(number or 0, {})
    content = content_of(frame) if types else b""
    if len(content) <= HEADER_BYTES or content[0] not in types:
        return None
    return IcmpError(addresses_of(frame)[0], content[0], content[1], *_quoted(content[HEADER_BYTES:]))


def _quoted(packet: bytes) -> tuple[str, str, bytes]:
    """For whom a packet was, by which protocol, and what it carried, as far as that is quoted."""
    if packet[0] >> 4 == 6:
        number, target, header_bytes = packet[6:7], packet[IPV6_TARGET_AT:IPV6_HEADER_BYTES], IPV6_HEADER_BYTES
    else:
        number, target, header_bytes = packet[9:10], packet[TARGET_AT : TARGET_AT + 4], (packet[0] & 0x0F) * 4
    protocol = PROTOCOLS.get(int.from_bytes(number), str(int.from_bytes(number)))
    return str(ipaddress.ip_address(target)) if len(target) in (4, 16) else "", protocol, packet[header_bytes:]
