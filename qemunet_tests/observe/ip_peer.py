"""IP as a peer speaks it: what a guest's kernel does for one question, and what comes of it, whole."""

import ipaddress
import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from qemunet_tests.observe.arp import who_has
from qemunet_tests.observe.neighbour_discovery import (
    OWN_ADDRESS,
    is_router_advertisement,
    neighbour,
    question_for_routers,
)
from qemunet_tests.observe.packet_content import (
    ICMP_NUMBER,
    ICMPV6_NUMBER,
    IPV6_HEADER_BYTES,
    UDP_NUMBER,
    addresses_of,
    content_is_sound,
    content_of,
    is_sound,
    packet_bytes,
    protocol_of,
    reassembled,
)

if TYPE_CHECKING:
    # scapy reads the machine's interfaces when it is imported: not before the lab has been entered.
    from scapy.packet import Packet

    from qemunet_tests.guest.peer import Peer

#: The address of the first lease.
ADDRESS = "10.0.2.15"
NETWORK = ipaddress.ip_network("10.0.2.0/24")
GATEWAY, IPV6_GATEWAY = "10.0.2.2", "fe80::2"
#: RFC 6335, 6: ports that belong to no service.
FIRST_OWN_PORT, LAST_OWN_PORT = 49152, 65535
#: RFC 792 and 4443: the types of messages that say what became of a packet.
ERRORS, IPV6_ERRORS = {3: "unreachable", 11: "time exceeded"}, {1: "unreachable", 2: "too big", 3: "time exceeded"}
MTU_BYTES = 1500
ERROR_HEADER_BYTES, UDP_HEADER_BYTES = 8, 8


@dataclass(frozen=True)
class Told:
    """What an ICMP error says, and who says it."""

    source: str
    type: int
    code: int

    def __str__(self) -> str:
        names = IPV6_ERRORS if ":" in self.source else ERRORS
        return f"{names.get(self.type, 'error')} (type {self.type}, code {self.code}) from {self.source}"


@dataclass(frozen=True)
class Datagram:
    """What came by UDP: from whom, what, and the length in bytes of each packet that it took."""

    source: str
    port: int
    content: bytes
    packets_bytes: tuple[int, ...]

    def __str__(self) -> str:
        packets = f" in packets of {', '.join(map(str, self.packets_bytes))}" if len(self.packets_bytes) > 1 else ""
        return f"{len(self.content)} bytes from {self.source} port {self.port}{packets}"


class NobodyThere(AssertionError):
    """Nothing can be sent on its way. On a peer's wire there is nobody but QEMU, so this says `broken`."""

    def __init__(self, address: str) -> None:
        super().__init__(f"nobody answers for {address} on the peer's wire")


class IpPeer:
    """Addresses for a peer, and a way for what it sends: who is on its network is asked for by ARP or its like."""

    def __init__(self, peer: "Peer") -> None:
        self.peer = peer
        self._macs: dict[str, str] = {}

    def own_address(self, to: str) -> str:
        """Its address of the same family."""
        return OWN_ADDRESS if ":" in to else ADDRESS

    def packet(self, to: str, time_to_live: int = 64) -> "Packet":
        """The headers of a frame and of a packet, to put something behind."""
        from scapy.layers.inet import IP
        from scapy.layers.inet6 import IPv6
        from scapy.layers.l2 import Ether

        frame = Ether(src=self.peer.mac, dst=self._mac_towards(to))
        if ":" in to:
            return frame / IPv6(src=self.own_address(to), dst=to, hlim=time_to_live)
        return frame / IP(src=self.own_address(to), dst=to, ttl=time_to_live, id=random.randrange(1, 65536))

    def _mac_towards(self, address: str) -> str:
        hop = _next_hop(address)
        if hop not in self._macs:
            found = neighbour(self.peer, hop) if ":" in hop else who_has(self.peer, hop)
            if found is None:
                raise NobodyThere(hop)
            self._macs[hop] = found.mac
        return self._macs[hop]

    def ask(
        self, question: "Packet", wanted: "Callable[[Packet], bool]", within_seconds: float = 2.0
    ) -> "Packet | None":
        """The first answer that is sound and `wanted`; the question is sent again where none comes."""
        return self.peer.ask(question, lambda frame: is_sound(frame) and wanted(frame), within_seconds)

    def ask_datagram(
        self, to: str, port: int, content: bytes, within_seconds: float = 2.0, time_to_live: int = 64
    ) -> Datagram | Told | None:
        """What comes of a UDP datagram: an answer, from whomever, or an error; None where nothing does."""
        own_port = _own_port()
        question = self.datagram(to, port, content, own_port, time_to_live)
        pieces: list[Packet] = []
        answers: list[Datagram | Told] = []

        def ends(frame: "Packet") -> bool:
            answer: Datagram | Told | None = told_about(frame, own_port.to_bytes(2) + port.to_bytes(2))
            if answer is None and protocol_of(frame) == UDP_NUMBER and addresses_of(frame)[1] == self.own_address(to):
                pieces.append(frame)
                answer = _datagram(_same_packet(pieces, frame), own_port)
            if answer:
                answers.append(answer)
            return bool(answers)

        self.ask(question, ends, within_seconds)
        return answers[0] if answers else None

    def datagram(
        self, to: str, port: int, content: bytes, own_port: int | None = None, time_to_live: int = 64
    ) -> "Packet":
        """The frame of a UDP datagram."""
        from scapy.layers.inet import UDP
        from scapy.packet import Raw

        return self.packet(to, time_to_live) / UDP(sport=own_port or _own_port(), dport=port) / Raw(content)

    def answers_before_a_router(self, questions: "Iterable[Packet]", within_seconds: float = 0.5) -> "list[Packet]":
        """What is sent to the peer's IPv6 address upon some questions, until a router has answered one put behind them.

        And for a while after that, since others answer by way of sockets. All is asked twice: a frame may get lost.
        """
        found: list[Packet] = []

        def ends(frame: "Packet") -> bool:
            if protocol_of(frame) is not None and addresses_of(frame)[1] == OWN_ADDRESS:
                found.append(frame)
            return is_router_advertisement(frame)

        for _ in range(2):
            for question in questions:
                self.peer.send(question)
            if self.peer.ask(question_for_routers(self.peer), ends) is None:
                raise NobodyThere("the routers' group")
        self.peer.receive(lambda frame: ends(frame) and False, within_seconds)
        return found

    def fragments(self, to: str, port: int, content: bytes) -> "list[Packet]":
        """The frames of one IPv6 datagram that is larger than an Ethernet's packets."""
        from scapy.layers.inet import UDP
        from scapy.layers.inet6 import IPv6, IPv6ExtHdrFragment, fragment6
        from scapy.layers.l2 import Ether
        from scapy.packet import Raw

        frame = self.packet(to)
        identifier = IPv6ExtHdrFragment(id=random.randrange(1 << 32))
        whole = frame[IPv6] / identifier / UDP(sport=_own_port(), dport=port) / Raw(content)
        return [Ether(src=frame.src, dst=frame.dst) / piece for piece in fragment6(whole, MTU_BYTES)]


def told_about(frame: "Packet", beginning: bytes) -> Told | None:
    """What an ICMP error says about a packet whose content begins so; for TCP and UDP, with its ports."""
    number = protocol_of(frame)
    errors = {ICMP_NUMBER: ERRORS, ICMPV6_NUMBER: IPV6_ERRORS}.get(number or 0, {})
    content = content_of(frame) if errors else b""
    if len(content) <= ERROR_HEADER_BYTES or content[0] not in errors:
        return None
    quoted = content[ERROR_HEADER_BYTES:]
    header_bytes = IPV6_HEADER_BYTES if number == ICMPV6_NUMBER else (quoted[0] & 0x0F) * 4
    if not quoted[header_bytes:].startswith(beginning):
        return None
    return Told(addresses_of(frame)[0], content[0], content[1])


def _own_port() -> int:
    return random.randint(FIRST_OWN_PORT, LAST_OWN_PORT)


def _next_hop(address: str) -> str:
    if ":" in address:
        return address if address.startswith("fe80:") else IPV6_GATEWAY
    return address if ipaddress.ip_address(address) in NETWORK else GATEWAY


def _same_packet(pieces: "list[Packet]", last: "Packet") -> "list[Packet]":
    """Those that are of one packet with the last. By IPv6 we know of no fragments."""
    from scapy.layers.inet import IP

    return [each for each in pieces if each[IP].id == last[IP].id] if IP in last else [last]


def _datagram(pieces: "list[Packet]", own_port: int) -> Datagram | None:
    """What the pieces are together; None while any is missing, or where it is for another port."""
    whole = reassembled(pieces)
    if whole is None or int.from_bytes(whole[2:4]) != own_port or not content_is_sound(pieces[0], whole):
        return None
    content = whole[UDP_HEADER_BYTES : int.from_bytes(whole[4:6])]
    sizes = tuple(packet_bytes(each) for each in pieces)
    return Datagram(addresses_of(pieces[0])[0], int.from_bytes(whole[:2]), content, sizes)
