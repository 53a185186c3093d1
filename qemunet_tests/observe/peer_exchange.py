"""One question of a peer, or to it, and what comes back: for services where more is no part of the promise."""

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from qemunet_tests.errors import HarnessError
from qemunet_tests.observe.arp import who_has
from qemunet_tests.observe.silence import GATEWAY, tells_gateway, who_has_gateway

if TYPE_CHECKING:
    # scapy reads the machine's interfaces when it is imported: not before the lab has been entered.
    from collections.abc import Sequence

    from scapy.packet import Packet

    from qemunet_tests.guest.peer import Peer

OWN, NETWORK = "10.0.2.15", "10.0.2."
#: What a packet of 1500 bytes holds, and as much as a window holds without scaling.
MSS, WINDOW = 1460, 65535
FIRST_NUMBER = 1000
#: From here a peer asks by UDP.
DATAGRAM_PORT = 40000
#: RFC 6335, 6: ports that belong to no service. Each question comes from another.
_ports = itertools.count(50000)

Outcome = Literal["opened", "refused", "no answer", "nobody"]


@dataclass(frozen=True)
class TcpAnswer:
    """What became of a question: whether somebody has the address and answers, and what came by the connection."""

    outcome: Outcome
    received: bytes = b""


def exchange(
    peer: "Peer", address: str, port: int, question: bytes = b"", enough: int = 0, within_seconds: float = 5.0
) -> TcpAnswer:
    """Connect, send a question, and take what comes until it is `enough` bytes or all. The connection is then reset."""
    from scapy.layers.inet import IP, TCP
    from scapy.layers.l2 import Ether

    owner = who_has(peer, address if address.startswith(NETWORK) else GATEWAY)
    if owner is None:
        return TcpAnswer("nobody")
    own_port = next(_ports)

    def segment_of(flags: str, number: int, ack: int = 0, data: bytes = b"") -> "Packet":
        header = TCP(sport=own_port, dport=port, flags=flags, seq=number, ack=ack, window=WINDOW)
        if flags == "S":
            header.options = [("MSS", MSS)]
        return Ether(src=peer.mac, dst=owner.mac) / IP(src=OWN, dst=address) / header / data

    def is_answer(frame: "Packet") -> bool:
        return TCP in frame and (frame[IP].src, frame[TCP].sport, frame[TCP].dport) == (address, port, own_port)

    answer = peer.ask(segment_of("S", FIRST_NUMBER), is_answer, within_seconds)
    if answer is None:
        return TcpAnswer("no answer")
    if "R" in answer[TCP].flags:
        return TcpAnswer("refused")
    number, received = FIRST_NUMBER + 1, bytearray()
    beginning = answer[TCP].seq + 1

    def take(frame: "Packet") -> bool:
        if not is_answer(frame):
            return False
        segment, packet = frame[TCP], frame[IP]
        # What is behind the packet's end fills a frame.
        data = bytes(packet)[packet.ihl * 4 + segment.dataofs * 4 : packet.len]
        if data and segment.seq == (beginning + len(received)) % (1 << 32):
            received.extend(data)
            peer.send(segment_of("A", number + len(question), (beginning + len(received)) % (1 << 32)))
        return len(received) >= enough or "F" in segment.flags or "R" in segment.flags

    peer.send(segment_of("PA" if question else "A", number, beginning, question))
    if enough:
        peer.receive(take, within_seconds)
    peer.send(segment_of("RA", number + len(question), (beginning + len(received)) % (1 << 32)))
    return TcpAnswer("opened", bytes(received))


def answer_call(peer: "Peer", port: int, answer: bytes, enough: int, within_seconds: float = 5.0) -> bytes:
    """Take a connection that comes in at a port of the peer's, and what comes by it, and then answer.

    Empty where nobody calls. QEMU knows the peer's MAC from a question before.
    """
    from scapy.layers.inet import IP, TCP
    from scapy.layers.l2 import Ether

    received = bytearray()

    def take(frame: "Packet") -> bool:
        if TCP not in frame or (frame[IP].dst, frame[TCP].dport) != (OWN, port):
            return False
        segment, packet = frame[TCP], frame[IP]
        data = bytes(packet)[packet.ihl * 4 + segment.dataofs * 4 : packet.len]
        received.extend(data)
        header = Ether(src=peer.mac, dst=frame.src) / IP(src=OWN, dst=packet.src)
        if segment.flags == "S":
            opened = TCP(sport=port, dport=segment.sport, flags="SA", seq=FIRST_NUMBER, ack=segment.seq + 1)
            peer.send(header / opened)
        elif data:
            last = TCP(sport=port, dport=segment.sport, flags="PA", seq=FIRST_NUMBER + 1, ack=segment.seq + len(data))
            peer.send(header / last / answer)
        return len(received) >= enough

    peer.receive(take, within_seconds)
    return bytes(received)


def send_datagrams(
    peer: "Peer", services: "Sequence[tuple[str, int]]", data: bytes, own_port: int = DATAGRAM_PORT
) -> None:
    """Send each of these a datagram, and do not wait. QEMU learns before whom it may answer.

    Each is asked from a port of its own, from `own_port` on: libslirp takes whoever was asked last from a port for the
    sender of all that comes to it.
    """
    from scapy.layers.inet import IP, UDP
    from scapy.layers.l2 import Ether

    owner = who_has(peer, GATEWAY)
    if owner is None:
        raise HarnessError(f"{GATEWAY} does not answer ARP")
    for number, (address, port) in enumerate(services):
        # libslirp looks at no MAC of its own: what is for another of its addresses may go to the gateway's.
        packet = IP(src=OWN, dst=address) / UDP(sport=own_port + number, dport=port) / data
        peer.send(Ether(src=peer.mac, dst=owner.mac) / packet)


def datagrams(
    peer: "Peer",
    count: int | None = None,
    own_port: int = DATAGRAM_PORT,
    ports: int = 1,
    within_seconds: float = 5.0,
) -> list[tuple[str, int, bytes]]:
    """The sender, his port and the content of the datagrams that come to so many ports, until `count` have sent one.

    Without a `count`, those that have come: QEMU answers an ARP request that is sent behind them.
    """
    from scapy.layers.inet import IP, UDP

    found: list[tuple[str, int, bytes]] = []

    def take(frame: "Packet") -> bool:
        if UDP in frame and frame[IP].dst == OWN and own_port <= frame[UDP].dport < own_port + ports:
            found.append((frame[IP].src, frame[UDP].sport, bytes(frame[UDP].payload)[: frame[UDP].len - 8]))
        return tells_gateway(frame) if count is None else len({each[:2] for each in found}) >= count

    if count is None:
        peer.send(who_has_gateway(peer))
    if not peer.receive(take, within_seconds) and count is None:
        raise HarnessError(f"{GATEWAY} does not answer the ARP request that tells silence from a lost frame")
    return found
