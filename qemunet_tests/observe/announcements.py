"""What a NIC says of itself, unasked, to the switches around it: RARP, as QEMU has it do after it has moved.

Sources: RFC 903 for the frames; `announce-self` in QEMU's QMP Reference Manual.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    # scapy reads the machine's interfaces when it is imported: not before the lab has been entered.
    from qemunet_tests.guest.peer import Peer

_RARP, _REQUEST_REVERSE, _EVERYBODY = 0x8035, 3, "ff:ff:ff:ff:ff:ff"


@dataclass(frozen=True)
class Announcement:
    """`mac` sent it. It is gratuitous where it goes to everybody and asks for the sender's own address."""

    mac: str
    is_gratuitous: bool


def announcements(peer: "Peer", most: int, within_seconds: float = 1.0) -> list[Announcement]:
    """Those that a peer hears, `most` of them or as many as come, each within so long after the one before."""
    from scapy.layers.l2 import ARP

    found: list[Announcement] = []
    while len(found) < most and (frame := peer.receive(lambda each: each.type == _RARP, within_seconds)):
        asked = ARP(bytes(frame.payload))
        own = frame.dst == _EVERYBODY and asked.op == _REQUEST_REVERSE and asked.hwsrc == asked.hwdst == frame.src
        found.append(Announcement(frame.src, own))
    return found
