"""What passes at several places at once: a guest's own wire, and interfaces of the host where that is permitted."""

import contextlib
import socket
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Protocol

from qemunet_tests.guest.guest import Guest
from qemunet_tests.isolation.station import Station

ARP, IPV4, IPV6, VLAN = 0x0806, 0x0800, 0x86DD, 0x8100
TCP, UDP, ICMP, ICMPV6 = socket.IPPROTO_TCP, socket.IPPROTO_UDP, socket.IPPROTO_ICMP, socket.IPPROTO_ICMPV6
#: RFC 8200, 3; behind it lie others, which none of what is followed here has.
IPV6_HEADER_BYTES = 40
#: QEMU before 8.0 writes the virtio header, of either length, in front of every frame of its capture.
VIRTIO_HEADERS_BYTES = (0, 12, 10)
#: linux/if_ether.h, asm/socket.h and linux/if_packet.h.
ETH_P_ALL, SO_RCVBUFFORCE = 3, 33
SOL_PACKET, PACKET_AUXDATA, VLAN_VALID, VLAN_NUMBER = 263, 8, 0x10, 0xFFF
#: linux/if_arp.h: links whose frames are Ethernet's. What is sent by others, as by a tun, begins with IP.
ARPHRD_ETHER, ARPHRD_LOOPBACK = 1, 772
BUFFER_BYTES = 4 << 20
LONGEST_FRAME_BYTES = 65600
PCAP_HEADER_BYTES, RECORD_HEADER_BYTES = 24, 16


@dataclass(frozen=True)
class Packet:
    """One packet. `kind` is ARP or the number of the IP protocol; of ARP, addresses are who asks or says for whom.

    `first` and `second` are the ports of TCP and UDP, type and code of ICMP and ICMPv6, the operation and 0 of ARP.
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
    return next((found for header in VIRTIO_HEADERS_BYTES if (found := _at(frame[header:]))), None)


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
    parsed = {IPV4: _of_ipv4, IPV6: _of_ipv6}.get(kind)
    return parsed(source_mac, target_mac, body) if parsed else None


def _of_ipv4(source_mac: str, target_mac: str, body: bytes) -> Packet | None:
    if len(body) < 24 or body[0] >> 4 != 4:
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


def _of_ipv6(source_mac: str, target_mac: str, body: bytes) -> Packet | None:
    inner = body[IPV6_HEADER_BYTES:]
    if len(inner) < 4 or body[0] >> 4 != 6 or body[6] not in (TCP, UDP, ICMPV6):
        return None
    source, target = (socket.inet_ntop(socket.AF_INET6, body[at : at + 16]) for at in (8, 24))
    first, second = (inner[0], inner[1]) if body[6] == ICMPV6 else struct.unpack_from(">HH", inner)
    size_bytes = IPV6_HEADER_BYTES + struct.unpack_from(">H", body, 4)[0]
    return Packet(source_mac, target_mac, body[6], source, target, first, second, inner[4:], size_bytes)


class Capture(Protocol):
    """A place, and what has passed there since this was made."""

    place: str

    def packets(self) -> list[Packet]: ...

    def close(self) -> None: ...


class GuestCapture:
    """The capture that QEMU writes at the guest's NIC."""

    def __init__(self, guest: Guest, nic: int = 0) -> None:
        self.place = "the guest's NIC"
        self._capture = guest.folder / f"net{nic}.pcap"
        self._from = max(PCAP_HEADER_BYTES, self._capture.stat().st_size if self._capture.exists() else 0)

    def packets(self) -> list[Packet]:
        return [found for frame in self.frames() if (found := packet(frame))]

    def frames(self) -> list[bytes]:
        """Everything that passed since, both ways."""
        return list(_records(self._capture, self._from))

    def close(self) -> None:
        pass


def sent_by(mac: str, frames: Iterable[bytes]) -> list[bytes]:
    """Those of the frames of a capture that have this source, without what stands in front of Ethernet."""
    source = bytes.fromhex(mac.replace(":", ""))
    bare = (
        (frame[header:] for header in VIRTIO_HEADERS_BYTES if frame[header + 6 : header + 12] == source)
        for frame in frames
    )
    return [found for each in bare if (found := next(each, None))]


def headers_before(mac: str, frames: Iterable[bytes]) -> set[int]:
    """How many bytes stand in front of Ethernet in those of the frames that have this source."""
    source = bytes.fromhex(mac.replace(":", ""))
    return {length for frame in frames for length in VIRTIO_HEADERS_BYTES if frame[length + 6 : length + 12] == source}


def whole_capture(guest: Guest, nic: int = 0) -> list[bytes]:
    """Everything that has passed a guest's NIC since it was started."""
    return list(_records(guest.folder / f"net{nic}.pcap", PCAP_HEADER_BYTES))


def _records(capture: Path, at: int) -> Iterator[bytes]:
    content = capture.read_bytes() if capture.exists() else b""
    return (frame for _, frame in frames_in(content, at))


def frames_in(content: bytes, at: int = PCAP_HEADER_BYTES) -> Iterator[tuple[float, bytes]]:
    """The frames of a capture that QEMU wrote on this machine, each with its time in seconds; one cut off comes so."""
    while at + RECORD_HEADER_BYTES <= len(content):
        seconds, microseconds, length = struct.unpack_from("=III", content, at)
        at += RECORD_HEADER_BYTES
        yield seconds + microseconds / 1e6, content[at : at + length]
        at += length


class LinkCapture:
    """An interface of a station, by packet(7). Raises PermissionError where the station is not ours to listen at.

    The kernel shows what comes in before any filter but XDP has seen it, and what goes out after all filters have.
    `tags` are the VLANs whose tagged frames were among them: the kernel takes the tags off.
    """

    def __init__(self, station: Station, link: str) -> None:
        self.place = link
        self._heard: list[Packet] = []
        self.tags: set[int] = set()
        with station.entered():
            self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        with contextlib.suppress(OSError):
            self._socket.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, BUFFER_BYTES)
            self._socket.setsockopt(SOL_PACKET, PACKET_AUXDATA, 1)
        self._socket.setblocking(False)
        self._socket.bind((link, ETH_P_ALL))

    def packets(self) -> list[Packet]:
        with contextlib.suppress(BlockingIOError):
            while True:
                frame, told, _, (_, protocol, _, of_link, _) = self._socket.recvmsg(LONGEST_FRAME_BYTES, 256)
                self.tags.update(tag for _, kind, data in told if kind == PACKET_AUXDATA and (tag := _tag(data)))
                if of_link not in (ARPHRD_ETHER, ARPHRD_LOOPBACK):
                    frame = bytes(12) + struct.pack(">H", protocol) + frame
                if found := packet(frame):
                    self._heard.append(found)
        return self._heard

    def close(self) -> None:
        self._socket.close()


def _tag(data: bytes) -> int:
    status, tag = struct.unpack_from("=I12xH", data)
    return tag & VLAN_NUMBER if status & VLAN_VALID else 0


class Captures:
    """Captures at the guest and at these links; `unheard` are the links that we may not listen at."""

    def __init__(self, guest: Guest, station: Station, links: list[str]) -> None:
        self.guest = GuestCapture(guest)
        self.links: dict[str, LinkCapture] = {}
        self.unheard: list[str] = []
        for link in links:
            try:
                self.links[link] = LinkCapture(station, link)
            except OSError:  # not permitted, or gone
                self.unheard.append(link)

    def __enter__(self) -> "Captures":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for capture in self.links.values():
            capture.close()
