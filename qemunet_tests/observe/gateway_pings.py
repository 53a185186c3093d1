"""Numbered pings of a peer to the gateway, which QEMU answers by itself, at once and in order."""

from typing import TYPE_CHECKING

from qemunet_tests.guest.address_resolution import ADDRESS, GATEWAY, answer_to, asked_by

if TYPE_CHECKING:
    # scapy reads the machine's interfaces when it is imported: not before the lab has been entered.
    from collections.abc import Sequence

    from scapy.packet import Packet

    from qemunet_tests.guest.peer import Peer

GATEWAY_MAC = "52:55:0a:00:02:02"
IDENTIFIER = 0x716E
ANSWER_SECONDS = 3.0


def ping_of(peer: "Peer", number: int) -> "Packet":
    """The ping of a number."""
    from scapy.layers.inet import ICMP, IP
    from scapy.layers.l2 import Ether

    packet = IP(src=ADDRESS, dst=GATEWAY) / ICMP(id=IDENTIFIER, seq=number) / number.to_bytes(4)
    return Ether(src=peer.mac, dst=GATEWAY_MAC) / packet


def answered_pings(peer: "Peer", numbers: "Sequence[int]", send: bool = True) -> list[int]:
    """The numbers that are answered, with what they carry, in the order of the answers, until all are or time is over.

    Without `send` they were sent before. QEMU, which asks for the peer's MAC by ARP before, is told.
    """
    from scapy.layers.inet import ICMP

    found: list[int] = []

    def take(frame: "Packet") -> bool:
        if asked_by(frame) == ADDRESS:
            peer.send(answer_to(frame, peer.mac))
        if ICMP in frame and (frame[ICMP].type, frame[ICMP].id) == (0, IDENTIFIER):
            number = frame[ICMP].seq
            found.extend([number] if bytes(frame[ICMP].payload)[:4] == number.to_bytes(4) else [])
        return len(found) >= len(numbers)

    for number in numbers if send else ():
        peer.send(ping_of(peer, number))
    peer.receive(take, ANSWER_SECONDS)
    return found
