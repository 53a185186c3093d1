"""DHCP: what passed a guest's wire, by the capture that QEMU writes at its backend, and what servers tell others.

A frame that never left a machine may lack its checksum: whoever sent it left that to hardware which it never met. QEMU
tells a guest so beside the frame; a guest that is not told drops what looks spoilt.

The host itself puts questions to the LAN's server, which tell what it has against a guest. The guest's request is put
once more, with the uplink's own address on the frame and the guest's inside: if only that brings an offer, the address
on the frame is all that made the difference, as with many virtual switches. And the server is asked for what it tells
a machine that has an address: RFC 2131, 3.4. Neither takes a lease.
"""

import contextlib
import socket
import struct
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from qemunet_tests.deadline import Deadline
from qemunet_tests.errors import HarnessError
from qemunet_tests.guest.guest import Guest
from qemunet_tests.isolation.station import Station
from qemunet_tests.observe.capture import ETH_P_ALL, whole_capture

#: RFC 1533: every DHCP packet carries it, 236 bytes after its beginning.
DHCP_COOKIE = b"\x63\x82\x53\x63"
MESSAGE_TYPE = 53
TYPES = {1: "discover", 2: "offer", 3: "request", 4: "decline", 5: "ack", 6: "nak", 7: "release", 8: "inform"}
ChecksumState = Literal["right", "wrong", "unfinished"]
SERVER_PORT, CLIENT_PORT = 67, 68
UDP_NUMBER, UDP_HEADER_BYTES = 17, 8
#: By this and the next a station knows answers to its own two questions.
TRANSACTION = 0x716E6D66
#: RFC 951 and 2131: what a message begins with, and where the options do.
REPLY, COOKIE_AT = b"\x02", 236
#: IPv4 and UDP; the sender's address is 12 bytes in.
HEADERS_BYTES, SENDER_AT = 28, 12
BROADCAST_FLAG = 0x8000


def dhcp_messages(guest: Guest, nic: int = 0) -> list[str]:
    """The DHCP message types seen on the guest's wire, in order, as `discover`, `offer`, ...

    They are found by DHCP's cookie, because QEMU before 8.0 writes the virtio header in front of every frame.
    """
    return [kind for kind, _ in timed_dhcp_messages(guest, nic)]


def timed_dhcp_messages(guest: Guest, nic: int = 0) -> list[tuple[str, float]]:
    """The same, each with the time at which it passed, in seconds of the host's clock.

    Without the answers to what a host has asked meanwhile, which are broadcast to its guests as well.
    """
    from scapy.utils import RawPcapReader

    capture = guest.folder / f"net{nic}.pcap"
    if not _has_packets(capture):
        return []
    with RawPcapReader(str(capture)) as reader:
        return [
            (kind, at.sec + at.usec / 1e6)
            for frame, at in reader
            if (kind := message_type(frame)) and _transaction(frame) not in (TRANSACTION, TRANSACTION + 1)
        ]


def seconds_to_offer(guest: Guest, nic: int = 0) -> float | None:
    """Seconds from the guest's first DISCOVER to the first OFFER; None when none has come."""
    seen = timed_dhcp_messages(guest, nic)
    asked = next((at for kind, at in seen if kind == "discover"), None)
    offered = next((at for kind, at in seen if kind == "offer"), None)
    return None if asked is None or offered is None else offered - asked


def asking_seconds(guest: Guest, nic: int = 0) -> float:
    """For how long the guest has been asking, from its first DISCOVER to its last; 0 where it has not."""
    asked = [at for kind, at in timed_dhcp_messages(guest, nic) if kind == "discover"]
    return asked[-1] - asked[0] if asked else 0.0


def _has_packets(capture: Path) -> bool:
    pcap_header_bytes = 24
    return capture.exists() and capture.stat().st_size > pcap_header_bytes


def message_type(frame: bytes) -> str | None:
    """Of a DHCP message in a frame; None where there is none."""
    at = frame.find(DHCP_COOKIE)
    if at < 0:
        return None
    options = frame[at + len(DHCP_COOKIE) :]
    while len(options) > 2 and options[0] != 255:
        if options[0] == MESSAGE_TYPE:
            return TYPES.get(options[2])
        options = options[1:] if options[0] == 0 else options[2 + options[1] :]
    return None


def _transaction(frame: bytes) -> int:
    """The number by which a client knows the answers to what it asked."""
    at = frame.find(DHCP_COOKIE) - COOKIE_AT + 4
    return int.from_bytes(frame[at : at + 4]) if at >= 0 else 0


def told_by_dhcp(guest: Guest, kind: str) -> Iterator[dict[str, str]]:
    """What each message of this type that passed the guest's wire says: `address`, and options as scapy calls them."""
    from scapy.layers.dhcp import BOOTP, DHCP

    for frame in whole_capture(guest):
        at = frame.find(DHCP_COOKIE)
        if at < COOKIE_AT or message_type(frame) != kind:
            continue
        message = BOOTP(frame[at - COOKIE_AT :])
        options = [each for each in message[DHCP].options if isinstance(each, tuple)] if DHCP in message else []
        yield {"address": str(message.yiaddr), **{name: " ".join(map(str, values)) for name, *values in options}}


def checksums_of_offers(guest: Guest) -> list[ChecksumState]:
    """Of every DHCP answer that came to the guest's NIC."""
    return [state for frame in whole_capture(guest) if (state := _checksum_of(frame))]


def _checksum_of(frame: bytes) -> ChecksumState | None:
    ports = frame.find(struct.pack(">HH", SERVER_PORT, CLIENT_PORT))
    header = ports - 20
    if header < 14 or DHCP_COOKIE not in frame or frame[header] != 0x45 or frame[header + 9] != UDP_NUMBER:
        return None
    if len(frame) < ports + UDP_HEADER_BYTES:
        return None  # cut off, or made to look like an answer
    length, said = struct.unpack_from(">HH", frame, ports + 4)
    pseudo = frame[header + 12 : header + 20] + struct.pack(">HH", UDP_NUMBER, length)
    datagram = frame[ports : ports + 6] + b"\0\0" + frame[ports + 8 : ports + length]
    if said in (0, 0xFFFF & ~_sum(pseudo + datagram)) or _sum(pseudo + datagram) == 0:
        return "right"
    return "unfinished" if said == _sum(pseudo) else "wrong"


def _sum(content: bytes) -> int:
    """RFC 1071."""
    total: int = sum(struct.unpack(f">{(len(content) + 1) // 2}H", content + b"\0" * (len(content) % 2)))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total


#: QEMU dates captures from a whole second, and counts on from when the guest was frozen.
_WHOLE_SECONDS, _FROZEN_SECONDS = 2.0, 600.0


@dataclass(frozen=True)
class OfferDelay:
    """Seconds from the start of a guest's QEMU, which is when its tap joins the bridge.

    `asked` until it first asked for a lease, `offered` until it was first offered one; None for what never was.
    """

    asked: float | None
    offered: float | None

    def asked_within(self, seconds: float) -> bool:
        return self.asked is not None and self.asked < seconds

    def offered_within(self, seconds: float) -> bool:
        return self.offered is not None and self.offered < seconds

    def __str__(self) -> str:
        return f"{self.offered:.1f} s" if self.offered is not None else "never"


def delay(guest: Guest) -> OfferDelay:
    """What is known so far of a guest. Raises HarnessError where its capture has other times than it can have."""
    times: dict[str, float] = {}
    for kind, at_seconds in timed_dhcp_messages(guest):
        # QEMU asks the host's clock once, when it starts, and counts from there.
        times.setdefault(kind, at_seconds - guest.started_at_seconds)
    alive_seconds = time.monotonic() - guest.started_seconds
    if any(not -_WHOLE_SECONDS <= each <= alive_seconds + _FROZEN_SECONDS for each in times.values()):
        raise HarnessError("what a guest sent is dated before it was started, or later than now: the clock was set")
    return OfferDelay(times.get("discover"), times.get("offer"))


@dataclass(frozen=True)
class AnswersToHost:
    """Which servers answered what a host itself asked, None where none did.

    `offering` answered the guest's request that bore the uplink's own MAC, `informing` tells a machine that has an
    address about its network.
    """

    offering: str | None = None
    informing: str | None = None


def answers_to_host(
    station: Station, uplink: str, guest_mac: str, address: str | None, within_seconds: float = 2.0
) -> AnswersToHost:
    """Put both questions at once, the second where the host has an address. Nothing answers where we may not send."""
    link = station.link(uplink)
    if link is None:
        return AnswersToHost()
    own = dict(link["attrs"])["IFLA_ADDRESS"]
    requests = {TRANSACTION: _request("discover", TRANSACTION, own, guest_mac)}
    if address is not None:
        requests[TRANSACTION + 1] = _request("inform", TRANSACTION + 1, own, own, address)
    servers: dict[int, str] = {}
    with contextlib.suppress(OSError):
        with station.entered():
            asking = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        with asking:
            asking.bind((uplink, ETH_P_ALL))
            asking.setblocking(False)
            for request in requests.values():
                asking.send(request)
            answering = Deadline(within_seconds, "answers")
            answering.sees(lambda: servers.update(_servers(asking)) or servers.keys() >= requests.keys())
    return AnswersToHost(servers.get(TRANSACTION), servers.get(TRANSACTION + 1))


def _servers(asking: socket.socket) -> Iterator[tuple[int, str]]:
    """Which question was answered meanwhile, and by whom."""
    with contextlib.suppress(BlockingIOError):
        while frame := asking.recv(2048):
            at = frame.find(DHCP_COOKIE) - COOKIE_AT
            message = frame[at:] if at >= HEADERS_BYTES else b""
            if message[:1] == REPLY:
                source = at - HEADERS_BYTES + SENDER_AT
                yield int.from_bytes(message[4:8]), socket.inet_ntoa(frame[source : source + 4])


def refuses_requests(station: Station, address: str, within_seconds: float = 0.3) -> bool:
    """Whether a machine says that none of its programs takes DHCP requests; who is silent may have one that does."""
    with contextlib.suppress(OSError), station.open_socket(socket.SOCK_DGRAM, to=address) as asking:
        asking.connect((address, SERVER_PORT))
        asking.settimeout(within_seconds)
        try:
            asking.send(b"")
            asking.recv(1)
        except ConnectionRefusedError:
            return True
    return False


def _request(kind: str, transaction: int, source_mac: str, client_mac: str, address: str = "0.0.0.0") -> bytes:
    from scapy.layers.dhcp import BOOTP, DHCP
    from scapy.layers.inet import IP, UDP
    from scapy.layers.l2 import Ether

    client = bytes.fromhex(client_mac.replace(":", ""))
    return bytes(
        Ether(src=source_mac, dst="ff:ff:ff:ff:ff:ff")
        / IP(src=address, dst="255.255.255.255")
        / UDP(sport=68, dport=67)
        / BOOTP(chaddr=client, xid=transaction, ciaddr=address, flags=0 if kind == "inform" else BROADCAST_FLAG)
        / DHCP(options=[("message-type", kind), "end"])
    )
