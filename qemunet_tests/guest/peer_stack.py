"""A peer that has addresses: it speaks IPv4 and IPv6, TCP and UDP as a guest's kernel does, but shows all it sees.

Nothing happens behind the caller's back: frames are taken while a method waits, in the order in which they came.
"""

import itertools
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from scapy.layers.inet import IP, TCP, UDP, fragment
from scapy.layers.inet6 import IPv6, IPv6ExtHdrFragment, fragment6
from scapy.layers.l2 import Ether
from scapy.packet import Packet

from qemunet_tests.deadline import Deadline
from qemunet_tests.errors import HarnessError
from qemunet_tests.guest.address_resolution import (
    ADDRESS,
    BROADCAST,
    GATEWAY,
    IPV6_ADDRESS,
    IPV6_GATEWAY,
    AddressUnanswered,
    answer_to,
    answered_by,
    asked_by,
    question_for,
)
from qemunet_tests.guest.icmp_error import IcmpError, icmp_error
from qemunet_tests.guest.packet_content import (
    TCP_NUMBER,
    UDP_HEADER_BYTES,
    UDP_NUMBER,
    addresses_of,
    content_is_sound,
    is_fragment,
    is_sound,
    packet_bytes,
    protocol_of,
    reassembled,
)
from qemunet_tests.guest.peer import Peer
from qemunet_tests.guest.peer_tcp import WINDOW, Options, PeerConnection, PeerListener
from qemunet_tests.guest.peer_udp import PeerDatagram, PeerPort
from qemunet_tests.timeouts import turns

Value = TypeVar("Value")

#: RFC 6335: nobody registers these. A client of ours calls from them, each time from another.
_ports = itertools.cycle(range(49152, 65536))
#: What an Ethernet carries in a frame, and how much of that fits behind a header of IPv4.
MTU_BYTES, FRAGMENT_BYTES = 1500, 1480
#: QEMU answers for an address of its own in a thousandth of that.
RESOLVED_SECONDS = 0.5
#: How long nobody looks at anything but the wire.
LOOK_SECONDS = 0.02


class PeerStack:
    """A peer with an address of either family.

    `errors` are the ICMP errors that came, `frames` all that came. `neighbours` are MAC addresses by IP address: the
    others are asked for. Packets up to `mtu_bytes` are sent whole. To a port where nobody listens a reset is sent, as
    by a kernel, unless `silent`.
    """

    def __init__(
        self,
        peer: Peer,
        address: str = ADDRESS,
        gateway: str = GATEWAY,
        ipv6_address: str = IPV6_ADDRESS,
        ipv6_gateway: str = IPV6_GATEWAY,
    ) -> None:
        self.peer, self.address, self.gateway = peer, address, gateway
        self.ipv6_address, self.ipv6_gateway = ipv6_address, ipv6_gateway
        self.silent, self.mtu_bytes = False, MTU_BYTES
        self.errors: list[IcmpError] = []
        self.frames: list[Packet] = []
        self.neighbours: dict[str, str] = {}
        self._numbers = itertools.count(1)
        self._answers: Counter[str] = Counter()
        self._connections: dict[tuple[int, str, int], PeerConnection] = {}
        self._listeners: dict[int, PeerListener] = {}
        self._udp: dict[int, PeerPort] = {}
        self._fragments: dict[tuple[str, int], list[Packet]] = {}

    def own_address(self, to: str) -> str:
        """Its address of the same family."""
        return self.ipv6_address if ":" in to else self.address

    def packet(self, to: str, ttl: int = 64) -> Packet:
        """The header of a packet, to put something behind."""
        own = self.own_address(to)
        if ":" in to:
            return IPv6(src=own, dst=to, hlim=ttl)
        return IP(src=own, dst=to, ttl=ttl, id=next(self._numbers) % 65536)

    def question(self, to: str, port: int, data: bytes) -> Packet:
        """The frame of a datagram."""
        datagram = UDP(sport=next(_ports), dport=port) / data
        return Ether(src=self.peer.mac, dst=self._mac_of(to)) / self.packet(to) / datagram

    def pieces(self, to: str, port: int, data: bytes) -> list[Packet]:
        """A datagram by IPv4, in the fragments that an Ethernet carries, to be sent one by one."""
        return _parts(self.packet(to) / UDP(sport=next(_ports), dport=port) / data, self.mtu_bytes)

    def dial(
        self, address: str, port: int, own_port: int | None = None, options: Options | None = None, room: int = WINDOW
    ) -> PeerConnection:
        """Ask for a TCP connection, and do not wait for it.

        `options` are as scapy writes them, `room` is for how many bytes there is any here.
        """
        connection = PeerConnection(self, (self.own_address(address), own_port or next(_ports)), (address, port))
        connection.mss += self.mtu_bytes - MTU_BYTES
        connection.room = room
        self._connections[connection.local[1], address, port] = connection
        connection.dial(options)
        return connection

    def connect(self, address: str, port: int, within_seconds: float = 5.0) -> PeerConnection:
        """A TCP connection, whether or not it opens."""
        connection = self.dial(address, port)
        connection.wait_opened(within_seconds)
        return connection

    def listen(self, port: int) -> PeerListener:
        """Take TCP connections at a port."""
        return self._listeners.setdefault(port, PeerListener(self, port))

    def open_udp(self, port: int | None = None) -> PeerPort:
        """A UDP port."""
        number = port or next(_ports)
        return self._udp.setdefault(number, PeerPort(self, number))

    @property
    def connections(self) -> list[PeerConnection]:
        """All connections, the youngest last."""
        return list(self._connections.values())

    def asked_for(self, address: str) -> int:
        """How often somebody has asked who has an address."""
        return sum(asked_by(frame) == address for frame in self.frames)

    def who_has(self, address: str) -> bool:
        """Whether anybody says that he has an address."""
        self.neighbours.pop(address, None)
        self._ask_for(address)
        self.settle()
        return address in self.neighbours

    def settle(self, within_seconds: float = 5.0) -> None:
        """Wait until all that was sent has been looked at: QEMU takes frames in order, and answers ARP at once.

        Raises HarnessError where it does not.
        """
        before = self._answers[self.gateway]
        self._ask_for(self.gateway)
        if not self.until(lambda: self._answers[self.gateway] > before, within_seconds):
            raise HarnessError(f"{self.gateway} does not answer ARP, so nothing is known of other frames")

    def ask(self, question: Packet, read: Callable[[Packet], Value], within_seconds: float = 2.0) -> Value | None:
        """What `read` makes of a sound frame that comes once a packet is sent; it is sent again where nothing does."""
        for patience_seconds in turns(within_seconds):
            seen = len(self.frames)
            self.transmit(question)
            found: list[Value] = []

            def comes(seen: int = seen, found: list[Value] = found) -> bool:
                sound = filter(is_sound, self.frames[seen:])
                found[:] = [value for value in map(read, sound) if value is not None]
                return bool(found)

            if self.until(comes, patience_seconds):
                return found[0]
        return None

    def ask_datagram(
        self, address: str, port: int, data: bytes, within_seconds: float = 2.0, ttl: int = 64
    ) -> PeerDatagram | IcmpError | None:
        """What comes of a UDP datagram, sent again where nothing does: an answer, from whomever, or an error."""
        asking = self.open_udp()
        for patience_seconds in turns(within_seconds):
            asking.send(data, address, port, ttl)
            if self.until(lambda: asking.received or asking.errors, patience_seconds):
                return asking.received[0] if asking.received else asking.errors[0]
        return None

    def meanwhile(self, work: Callable[[], Value]) -> Value:
        """What `work` returns, a call that may wait for the other end of a connection; frames are taken all the time.

        `work` has to end by itself.
        """
        with ThreadPoolExecutor(1) as beside:
            doing = beside.submit(work)
            while not doing.done():
                self._look(LOOK_SECONDS)
        return doing.result()

    def until(self, condition: Callable[[], object], within_seconds: float) -> bool:
        """Take what comes until `condition` is true; whether it became so in time."""
        deadline = Deadline(within_seconds, "frames")
        while not condition():
            if deadline.passed:
                return False
            self._look(min(LOOK_SECONDS, deadline.remaining_seconds))
        return True

    def send_to(self, address: str, content: Packet, ttl: int = 64) -> None:
        """Send what an IP packet is to carry."""
        self.transmit(self.packet(address, ttl) / content)

    def transmit(self, packet: Packet) -> None:
        """Send an IP packet, in fragments where it needs any."""
        mac = self._mac_of(packet.dst)
        for part in _parts(packet, self.mtu_bytes):
            self.peer.send(Ether(src=self.peer.mac, dst=mac) / part)

    def _mac_of(self, address: str) -> str:
        hop = self._next_hop(address)
        if hop == BROADCAST:
            return hop
        for patience_seconds in turns(RESOLVED_SECONDS) if hop not in self.neighbours else ():
            self._ask_for(hop)
            if self.until(lambda: hop in self.neighbours, patience_seconds):
                break
        if hop not in self.neighbours:
            raise AddressUnanswered(hop)
        return self.neighbours[hop]

    def _next_hop(self, address: str) -> str:
        if ":" in address:
            return address if address.startswith("fe80:") else self.ipv6_gateway
        network = self.address.rpartition(".")[0]
        if address in ("255.255.255.255", f"{network}.255"):
            return BROADCAST
        return address if address.rpartition(".")[0] == network else self.gateway

    def _ask_for(self, address: str) -> None:
        self.peer.send(question_for(self.peer.mac, address, self.own_address(address)))

    def _look(self, seconds: float) -> None:
        """Take the next frame."""
        taken = self.peer.wire.take(seconds)
        if taken is not None:
            self.frames.append(Ether(taken))
            self._take(self.frames[-1])
            return
        for connection in list(self._connections.values()):
            connection.tick()

    def _take(self, frame: Packet) -> None:
        own = (self.address, self.ipv6_address)
        if owner := answered_by(frame):
            self.neighbours[owner.address] = owner.mac
            self._answers[owner.address] += 1
        elif asked_by(frame) in own:
            self.peer.send(answer_to(frame, self.peer.mac))
        elif protocol_of(frame) is not None and addresses_of(frame)[1] in own and is_sound(frame):
            self._take_packet(frame)

    def _take_packet(self, frame: Packet) -> None:
        pieces = self._pieces(frame)
        content = reassembled(pieces)
        if content is None or not content_is_sound(pieces[0], content):
            return  # not whole yet, or spoilt: a kernel drops that
        if is_fragment(frame):
            del self._fragments[frame[IP].src, frame[IP].id]
        if protocol_of(frame) == TCP_NUMBER:
            segment = TCP(content)
            self._take_segment(addresses_of(frame)[0], segment, content[segment.dataofs * 4 :])
        elif protocol_of(frame) == UDP_NUMBER:
            self._take_datagram(pieces, content)
        elif error := icmp_error(frame):
            self._take_error(error)

    def _pieces(self, frame: Packet) -> list[Packet]:
        """All that have come of a packet, in order."""
        if not is_fragment(frame):
            return [frame]
        pieces = self._fragments.setdefault((frame[IP].src, frame[IP].id), [])
        pieces.append(frame)
        pieces.sort(key=lambda piece: int(piece[IP].frag))
        return pieces

    def _take_segment(self, source: str, segment: Packet, data: bytes) -> None:
        key = (segment.dport, source, segment.sport)
        listener = self._listeners.get(segment.dport)
        if connection := self._connections.get(key):
            connection.take(segment, data)
        elif listener and segment.flags == "S":
            called = PeerConnection(self, (self.own_address(source), segment.dport), (source, segment.sport))
            called.mss += self.mtu_bytes - MTU_BYTES
            self._connections[key] = called
            listener.called.append(called)
            called.answer_syn(segment)
        elif not self.silent and "R" not in segment.flags:
            acknowledged = (segment.seq + len(data) + ("S" in segment.flags)) % (1 << 32)
            back = TCP(sport=segment.dport, dport=segment.sport, flags="RA", seq=segment.ack, ack=acknowledged)
            self.send_to(source, back)

    def _take_datagram(self, pieces: list[Packet], content: bytes) -> None:
        if port := self._udp.get(int.from_bytes(content[2:4])):
            first, data = pieces[0], content[UDP_HEADER_BYTES : int.from_bytes(content[4:6])]
            ttl = first[IP].ttl if IP in first else first[IPv6].hlim
            sizes = tuple(map(packet_bytes, pieces))
            sender = addresses_of(first)[0], int.from_bytes(content[:2])
            port.received.append(PeerDatagram(*sender, data, sizes, int(ttl)))

    def _take_error(self, error: IcmpError) -> None:
        self.errors.append(error)
        own_port, far_port = error.ports
        connection = self._connections.get((own_port, error.target, far_port))
        port = self._udp.get(own_port)
        if error.protocol == "TCP" and connection and not connection.opened:
            connection.unreachable = error
        if error.protocol == "UDP" and port:
            port.errors.append(error)


def _parts(packet: Packet, mtu_bytes: int) -> list[Packet]:
    """A packet, or its fragments, of the size for an Ethernet, where it is larger than what the wire carries."""
    if len(bytes(packet)) <= mtu_bytes:
        return [packet]
    if IP in packet:
        return list(fragment(packet, FRAGMENT_BYTES))
    header, content = packet.copy(), packet.payload
    header.remove_payload()
    return list(fragment6(header / IPv6ExtHdrFragment(id=1) / content, MTU_BYTES))
