"""IPv4 and ARP packets in raw Ethernet frames, as far as it takes to follow one on its way."""

import socket
import struct
from dataclasses import dataclass

ARP, IPV4, VLAN = 0x0806, 0x0800, 0x8100
TCP, UDP, ICMP = socket.IPPROTO_TCP, socket.IPPROTO_UDP, socket.IPPROTO_ICMP
#: QEMU before 8.0 writes the virtio header, of either length, in front of every frame of its capture.
HEADERS_BYTES = (0, 12, 10)


@dataclass(frozen=True)
class Packet:
    """One packet. `kind` is ARP or the number of the IP protocol; of ARP, addresses are who asks or says for whom.

    `first` and `second` are the ports of TCP and UDP, type and code of ICMP, the operation and 0 of ARP.
    """

    source_mac: str
    target_mac: str
    kind: int
    source: str
    target: str
    first: int
    second: int
    payload: bytes
    size_bytes: int


def packet(frame: bytes) -> Packet | None:
    """The packet in a frame; None where there is another protocol, or a fragment that is not the first."""
    return next((found for header in HEADERS_BYTES if (found := _at(frame[header:]))), None)


def _at(frame: bytes) -> Packet | None:
    if len(frame) < 34:
        return None
    at = 14 if struct.unpack_from(">H", frame, 12)[0] != VLAN else 18
    kind = struct.unpack_from(">H", frame, at - 2)[0]
    target_mac, source_mac = frame[:6].hex(":"), frame[6:12].hex(":")
    body = frame[at:]
    if kind == ARP and len(body) >= 28 and body[:6] == b"\0\1\x08\0\6\4":
        source, target = socket.inet_ntoa(body[14:18]), socket.inet_ntoa(body[24:28])
        return Packet(source_mac, target_mac, ARP, source, target, body[7], 0, b"", len(body))
    if kind != IPV4 or len(body) < 24 or body[0] >> 4 != 4:
        return None
    header_bytes, size_bytes, fragment = (body[0] & 15) * 4, *struct.unpack_from(">H2xH", body, 2)
    if (size_bytes > len(body) and len(body) < 60) or fragment & 0x1FFF:
        return None
    inner = body[header_bytes:size_bytes]
    if len(inner) < 4:
        return None
    source, target = socket.inet_ntoa(body[12:16]), socket.inet_ntoa(body[16:20])
    first, second = (inner[0], inner[1]) if body[9] == ICMP else struct.unpack_from(">HH", inner)
    return Packet(source_mac, target_mac, body[9], source, target, first, second, inner[4:], size_bytes)
