"""What a packet on a peer's wire carries, and whether a kernel would take it."""

import socket
import struct
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    # scapy reads the machine's interfaces when it is imported: not before the lab has been entered.
    from scapy.packet import Packet

ICMP_NUMBER, TCP_NUMBER, UDP_NUMBER, ICMPV6_NUMBER = 1, 6, 17, 58
IPV6_HEADER_BYTES, UDP_HEADER_BYTES = 40, 8
#: RFC 791: offsets of fragments are counted in these.
FRAGMENT_UNIT_BYTES = 8


def protocol_of(frame: "Packet") -> int | None:
    """The number of what a packet carries, also in a fragment; None where a frame carries no packet."""
    from scapy.layers.inet import IP
    from scapy.layers.inet6 import IPv6

    return int(frame[IP].proto) if IP in frame else int(frame[IPv6].nh) if IPv6 in frame else None


def addresses_of(frame: "Packet") -> tuple[str, str]:
    """Whom a packet is from, and whom it is for."""
    from scapy.layers.inet import IP
    from scapy.layers.inet6 import IPv6

    packet = frame[IP] if IP in frame else frame[IPv6]
    return str(packet.src), str(packet.dst)


def packet_bytes(frame: "Packet") -> int:
    """The length of a packet, with its header and without what fills up a short frame."""
    from scapy.layers.inet import IP
    from scapy.layers.inet6 import IPv6

    return int(frame[IP].len) if IP in frame else IPV6_HEADER_BYTES + int(frame[IPv6].plen)


def content_of(frame: "Packet") -> bytes:
    """What is behind the packet's header, without what fills up a short frame."""
    from scapy.layers.inet import IP
    from scapy.layers.inet6 import IPv6

    header_bytes = int(frame[IP].ihl) * 4 if IP in frame else IPV6_HEADER_BYTES
    return bytes(frame[IP] if IP in frame else frame[IPv6])[header_bytes : packet_bytes(frame)]


def is_fragment(frame: "Packet") -> bool:
    from scapy.layers.inet import IP

    return IP in frame and bool(frame[IP].flags.MF or frame[IP].frag)


def is_sound(frame: "Packet") -> bool:
    """Whether the checksums of a packet are those of its content; of a fragment, that of its header alone."""
    from scapy.layers.inet import IP

    number = protocol_of(frame)
    if number is None:
        return True
    if IP in frame and _sum(bytes(frame[IP])[: int(frame[IP].ihl) * 4]) != 0xFFFF:
        return False
    return is_fragment(frame) or content_is_sound(frame, content_of(frame))


def content_is_sound(frame: "Packet", content: bytes) -> bool:
    """The same of what a packet carries, or several fragments together."""
    number = protocol_of(frame)
    if number == UDP_NUMBER and content[6:8] == b"\0\0":
        # RFC 768: none was made; by IPv6 there has to be one (RFC 8200, 8.1).
        return ":" not in addresses_of(frame)[0]
    if number == ICMP_NUMBER:
        return _sum(content) == 0xFFFF
    if number not in (TCP_NUMBER, UDP_NUMBER, ICMPV6_NUMBER):
        return True
    family = socket.AF_INET6 if ":" in addresses_of(frame)[0] else socket.AF_INET
    ends = b"".join(socket.inet_pton(family, address) for address in addresses_of(frame))
    return _sum(ends + struct.pack(">II", len(content), number) + content) == 0xFFFF


def reassembled(pieces: "Sequence[Packet]") -> bytes | None:
    """What fragments of one packet carry together; None while any is missing. A whole packet is its own only one."""
    from scapy.layers.inet import IP

    if not pieces or IP not in pieces[0]:
        return content_of(pieces[0]) if pieces else None
    whole, complete = b"", False
    for piece in sorted(pieces, key=lambda each: int(each[IP].frag)):
        if int(piece[IP].frag) * FRAGMENT_UNIT_BYTES != len(whole):
            return None
        whole, complete = whole + content_of(piece), not piece[IP].flags.MF
    return whole if complete else None


def _sum(content: bytes) -> int:
    """RFC 1071, of what includes its own checksum: all ones where that is right."""
    total: int = sum(struct.unpack(f">{(len(content) + 1) // 2}H", content + b"\0" * (len(content) % 2)))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total
