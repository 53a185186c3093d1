"""How large packets of a peer's network are: what TCP is told, and what becomes of a datagram that is larger."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from qemunet_tests.network.target import Endpoint
from qemunet_tests.observe.arp import who_has

if TYPE_CHECKING:
    # scapy reads the machine's interfaces when it is imported: not before the lab has been entered.
    from scapy.packet import Packet

    from qemunet_tests.guest.peer import Peer

OWN, PORT = "10.0.2.15", 40000
ETHERNET_BYTES = 14


@dataclass(frozen=True)
class Echoed:
    """What came back of a datagram, None where not all did, and the sizes of the IP packets that it came in."""

    payload: bytes | None
    packet_bytes: tuple[int, ...]


def largest_segment(peer: "Peer", service: Endpoint) -> int | None:
    """The MSS that is told to who opens a connection to a service; None where nobody takes it, or none is told."""
    from scapy.layers.inet import TCP

    question = _to_gateway(peer, service) / TCP(sport=PORT, dport=service.port, flags="S", options=[("MSS", 1460)])
    taken = peer.ask(question, lambda frame: TCP in frame and frame[TCP].dport == PORT and frame[TCP].flags == "SA")
    if taken is None:
        return None
    peer.send(_to_gateway(peer, service) / TCP(sport=PORT, dport=service.port, flags="R", seq=taken[TCP].ack))
    return next((value for name, value in taken[TCP].options if name == "MSS"), None)


def echoed_in_fragments(peer: "Peer", service: Endpoint, payload: bytes, largest_bytes: int = 1500) -> Echoed:
    """Send a datagram to an echo service, in IP packets of at most so many bytes, and put together what comes back."""
    from scapy.layers.inet import IP, UDP, fragment

    datagram = _to_gateway(peer, service) / UDP(sport=PORT, dport=service.port) / payload
    ours = fragment(datagram, fragsize=(largest_bytes - len(IP())) // 8 * 8)
    pieces: dict[int, bytes] = {}
    sizes: list[int] = []
    whole_bytes = len(UDP()) + len(payload)

    def completes(frame: "Packet") -> bool:
        if IP in frame and frame[IP].proto == 17 and frame[IP].src == service.address:
            sizes.append(frame[IP].len)
            pieces[frame[IP].frag * 8] = bytes(frame[IP].payload)[: frame[IP].len - frame[IP].ihl * 4]
        return sum(map(len, pieces.values())) >= whole_bytes

    for piece in ours:
        peer.send(piece)
    came = peer.receive(completes, 4.0)
    together = b"".join(pieces[at] for at in sorted(pieces))
    return Echoed(together[len(UDP()) :] if came else None, tuple(sizes))


def _to_gateway(peer: "Peer", service: Endpoint) -> "Packet":
    from scapy.layers.inet import IP
    from scapy.layers.l2 import Ether

    owner = who_has(peer, service.address)
    return Ether(src=peer.mac, dst=owner.mac if owner else "52:55:0a:00:02:02") / IP(src=OWN, dst=service.address, id=7)
