"""Questions that the host itself puts to the LAN's DHCP server, which tell what it has against a guest.

The guest's request is put once more, with the uplink's own address on the frame and the guest's inside: if only that
brings an offer, the address on the frame is all that made the difference, as with many virtual switches. And the
server is asked for what it tells a machine that has an address: RFC 2131, 3.4. Neither takes a lease.
"""

import contextlib
import socket
from collections.abc import Callable

from qemunet_tests.deadline import Deadline
from qemunet_tests.errors import TimedOut
from qemunet_tests.isolation.station import Station
from qemunet_tests.observe.capture import ETH_P_ALL
from qemunet_tests.observe.frames import DHCP_COOKIE

TRANSACTION = 0x716E6D66
#: RFC 951 and 2131: what a message begins with, and where the options do.
REPLY, COOKIE_AT = b"\x02", 236
#: IPv4 and UDP; the sender's address is 12 bytes in.
HEADERS_BYTES, SENDER_AT = 28, 12
BROADCAST = 0x8000


def offered_to_the_uplink(station: Station, uplink: str, guest_mac: str, within_seconds: float = 2.0) -> bool:
    """Whether an offer comes to a request that bears the uplink's own MAC. False where we may not send it."""
    return _answer(station, uplink, lambda own: _request("discover", own, guest_mac), within_seconds) is not None


def server_that_informs(station: Station, uplink: str, address: str, within_seconds: float = 2.0) -> str | None:
    """The DHCP server that tells a machine with this address about its network; None where none does."""
    return _answer(station, uplink, lambda own: _request("inform", own, own, address), within_seconds)


def _answer(station: Station, uplink: str, request: Callable[[str], bytes], within_seconds: float) -> str | None:
    link = station.link(uplink)
    if link is None:
        return None
    try:
        with station.entered():
            asking = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        with asking:
            asking.bind((uplink, ETH_P_ALL))
            asking.setblocking(False)
            asking.send(request(dict(link["attrs"])["IFLA_ADDRESS"]))
            return Deadline(within_seconds, "an answer").wait_until(lambda: _server(asking))
    except (OSError, TimedOut):
        return None


def _server(asking: socket.socket) -> str | None:
    """Who has answered meanwhile."""
    with contextlib.suppress(BlockingIOError):
        while frame := asking.recv(2048):
            at = frame.find(DHCP_COOKIE) - COOKIE_AT
            message = frame[at:] if at >= HEADERS_BYTES else b""
            if message[:1] == REPLY and message[4:8] == TRANSACTION.to_bytes(4):
                source = at - HEADERS_BYTES + SENDER_AT
                return socket.inet_ntoa(frame[source : source + 4])
    return None


def _request(kind: str, source_mac: str, client_mac: str, address: str = "0.0.0.0") -> bytes:
    from scapy.layers.dhcp import BOOTP, DHCP
    from scapy.layers.inet import IP, UDP
    from scapy.layers.l2 import Ether

    client = bytes.fromhex(client_mac.replace(":", ""))
    return bytes(
        Ether(src=source_mac, dst="ff:ff:ff:ff:ff:ff")
        / IP(src=address, dst="255.255.255.255")
        / UDP(sport=68, dport=67)
        / BOOTP(chaddr=client, xid=TRANSACTION, ciaddr=address, flags=0 if kind == "inform" else BROADCAST)
        / DHCP(options=[("message-type", kind), "end"])
    )
