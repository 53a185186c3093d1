"""What comes back to a segment that belongs to no connection."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    # scapy reads the machine's interfaces when it is imported: not before the lab has been entered.
    from qemunet_tests.guest.peer_stack import PeerStack

#: No client of ours calls from there.
OWN_PORT, NUMBER = 9999, 4711


def answers_to_stray(stack: "PeerStack", address: str, port: int) -> list[str]:
    """Flags, length, number and sender of what is answered to an acknowledgement that nobody waits for."""
    from scapy.layers.inet import IP, TCP

    stray = TCP(sport=OWN_PORT, dport=port, flags="A", seq=7, ack=NUMBER)
    stack.transmit(IP(src=stack.address, dst=address) / stray)
    stack.settle()
    back = [frame[IP] for frame in stack.frames if TCP in frame and frame[TCP].dport == OWN_PORT]
    return [
        f"{packet[TCP].flags}, {packet.len} bytes, number {packet[TCP].seq}, from {packet.src}:{packet[TCP].sport}"
        for packet in back
    ]
