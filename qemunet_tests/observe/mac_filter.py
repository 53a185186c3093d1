"""Whether the LAN behind an uplink admits its own MAC address and no other, as many virtual switches do.

The same DHCP request is put twice: by the guest, and here with the uplink's own address on the frame and the guest's
inside. If only the second brings an offer, the address on the frame is all that made the difference.
"""

import contextlib
import socket

from qemunet_tests.harness.deadline import Deadline
from qemunet_tests.harness.lab.station import Station
from qemunet_tests.observe.frames import DHCP_COOKIE
from qemunet_tests.observe.wiretaps import ETH_P_ALL

TRANSACTION = 0x716E6D66
#: RFC 951 and 2131: what a message begins with, and where its options do.
REPLY, COOKIE_AT = b"\x02", 236


def offered_to_the_uplink(station: Station, uplink: str, guest_mac: str, within_seconds: float = 2.0) -> bool:
    """Whether an offer comes to a request that bears the uplink's own MAC. False where we may not send it."""
    link = station.link(uplink)
    if link is None:
        return False
    request = _discover(dict(link["attrs"])["IFLA_ADDRESS"], guest_mac)
    try:
        with station.entered():
            asking = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        with asking:
            asking.bind((uplink, ETH_P_ALL))
            asking.setblocking(False)
            asking.send(request)
            return Deadline(within_seconds, "an offer").sees(lambda: _offer_came(asking))
    except OSError:
        return False


def _offer_came(asking: socket.socket) -> bool:
    with contextlib.suppress(BlockingIOError):
        while frame := asking.recv(2048):
            message = frame[max(0, frame.find(DHCP_COOKIE) - COOKIE_AT) :]
            if message[:1] == REPLY and message[4:8] == TRANSACTION.to_bytes(4):
                return True
    return False


def _discover(source_mac: str, guest_mac: str) -> bytes:
    from scapy.layers.dhcp import BOOTP, DHCP
    from scapy.layers.inet import IP, UDP
    from scapy.layers.l2 import Ether

    return bytes(
        Ether(src=source_mac, dst="ff:ff:ff:ff:ff:ff")
        / IP(src="0.0.0.0", dst="255.255.255.255")
        / UDP(sport=68, dport=67)
        / BOOTP(chaddr=bytes.fromhex(guest_mac.replace(":", "")), xid=TRANSACTION, flags=0x8000)
        / DHCP(options=[("message-type", "discover"), "end"])
    )
