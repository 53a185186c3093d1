"""A peer that has an address: it answers ARP, and speaks TCP and UDP as a guest's kernel does, but shows all it sees.

Nothing happens behind the caller's back: frames are taken while a method waits, in the order in which they came.
"""

import itertools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

from scapy.layers.inet import ICMP, IP, TCP, UDP, fragment, in4_chksum
from scapy.layers.l2 import ARP, Ether
from scapy.packet import Packet

from qemunet_tests.deadline import Deadline
from qemunet_tests.errors import HarnessError
from qemunet_tests.guest.peer import Peer
from qemunet_tests.guest.peer_tcp import PLAIN_OPTIONS, Options, PeerConnection

Value = TypeVar("Value")

BROADCAST = "ff:ff:ff:ff:ff:ff"
ADDRESS, GATEWAY = "10.0.2.15", "10.0.2.2"
#: RFC 6335: nobody registers these; a client of ours calls from them.
FIRST_PORT = 49152
#: What fits into a packet of 1500 bytes, behind 20 of IPv4's header.
FRAGMENT_BYTES = 1480
#: linux/if_ether.h
ETH_P_IP = 0x0800
PROTOCOL = {"TCP": 6, "UDP": 17}
UNREACHABLE, EXCEEDED, ECHO_REPLY, ECHO_REQUEST = 3, 11, 0, 8
#: How long nobody looks at anything but the wire.
LOOK_SECONDS = 0.02


class AddressUnanswered(HarnessError, AssertionError):
    """QEMU does not answer for an address that it was to have: an answer about the promise."""


@dataclass(frozen=True)
class PeerDatagram:
    """What came by UDP, and from whom; `sizes` are the bytes of the IP packets that it came in, `ttl` of the first."""

    source: str
    port: int
    data: bytes
    sizes: tuple[int, ...] = ()
    ttl: int = 0

    @property
    def sender(self) -> tuple[str, int]:
        return self.source, self.port


@dataclass(frozen=True)
class PeerError:
    """An ICMP error: who sent it, and of which packet: to whom, by which protocol, from which port to which."""

    source: str
    type: int
    code: int
    target: str
    protocol: str
    ports: tuple[int, int]


class PeerPort:
    """A UDP port of a peer, with all that has come to it."""

    def __init__(self, stack: "PeerStack", port: int) -> None:
        self.port, self._stack = port, stack
        self.received: list[PeerDatagram] = []

    def send(self, data: bytes, address: str, port: int, ttl: int = 64) -> None:
        """Send a datagram, in fragments where it needs any."""
        header = IP(src=self._stack.address, dst=address, ttl=ttl, id=self._stack.next_number())
        self._stack.transmit(header / UDP(sport=self.port, dport=port) / data)

    def receive(self, count: int = 1, within_seconds: float = 3.0) -> list[PeerDatagram]:
        """All datagrams that have come, once they are `count`, or the time is over."""
        self._stack.until(lambda: len(self.received) >= count, within_seconds)
        return list(self.received)


class PeerListener:
    """A TCP port of a peer at which it takes connections."""

    def __init__(self, stack: "PeerStack", port: int) -> None:
        self.port, self._stack = port, stack
        self.called: list[PeerConnection] = []
        self._taken = 0

    def accept(self, within_seconds: float = 5.0) -> PeerConnection | None:
        """The next connection, once it is open; None where none opens in time."""
        if not self._stack.until(lambda: len(self._opened) > self._taken, within_seconds):
            return None
        self._taken += 1
        return self._opened[self._taken - 1]

    @property
    def _opened(self) -> list[PeerConnection]:
        return [each for each in self.called if each.opened]


class PeerStack:
    """A peer with an address of its own.

    `errors` are the ICMP errors that came, `frames` all that came. `neighbours` are MAC addresses by IP address: the
    others are asked for. To a port where nobody listens a reset is sent, as by a kernel, unless `silent`.
    """

    def __init__(self, peer: Peer, address: str = ADDRESS, gateway: str = GATEWAY) -> None:
        self.peer, self.address, self.gateway = peer, address, gateway
        self.silent = False
        self.errors: list[PeerError] = []
        self.frames: list[Packet] = []
        self.neighbours: dict[str, str] = {}
        self._ports, self._numbers = itertools.count(FIRST_PORT), itertools.count(1)
        self._connections: dict[tuple[int, str, int], PeerConnection] = {}
        self._listeners: dict[int, PeerListener] = {}
        self._udp: dict[int, PeerPort] = {}
        self._fragments: dict[tuple[str, int], list[Packet]] = {}
        self._echoes: set[int] = set()

    def next_number(self) -> int:
        """For a packet's identification, and an echo request's sequence."""
        return next(self._numbers) % 65536

    def dial(
        self, address: str, port: int, own_port: int | None = None, options: Options = PLAIN_OPTIONS
    ) -> PeerConnection:
        """Ask for a TCP connection with these options, as scapy writes them, and do not wait for it."""
        connection = PeerConnection(self, (self.address, own_port or next(self._ports)), (address, port))
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
        number = port or next(self._ports)
        return self._udp.setdefault(number, PeerPort(self, number))

    @property
    def connections(self) -> list[PeerConnection]:
        """All connections, the youngest last."""
        return list(self._connections.values())

    def asked_for(self, address: str) -> int:
        """How often somebody has asked by ARP who has an address."""
        return sum(ARP in frame and frame[ARP].op == 1 and frame[ARP].pdst == address for frame in self.frames)

    def who_has(self, address: str) -> bool:
        """Whether anybody says that he has an address."""
        self.neighbours.pop(address, None)
        self._ask_for(address)
        self.settle()
        return address in self.neighbours

    def settle(self, within_seconds: float = 5.0) -> None:
        """Wait until all that was sent has been looked at: QEMU takes frames in order, and answers an echo at once.

        Raises HarnessError where it does not.
        """
        number = self.next_number()
        self.transmit(IP(src=self.address, dst=self.gateway) / ICMP(type=ECHO_REQUEST, id=number, seq=number))
        if not self.until(lambda: number in self._echoes, within_seconds):
            raise HarnessError(f"{self.gateway} does not answer an echo request, so nothing is known of other frames")

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

    def transmit(self, packet: Packet) -> None:
        """Send an IP packet, in fragments where it needs any."""
        header = Ether(src=self.peer.mac, dst=self._mac_of(packet.dst), type=ETH_P_IP)
        built = bytes(packet)
        parts = fragment(packet, FRAGMENT_BYTES) if len(built) > FRAGMENT_BYTES + 20 else [built]
        for part in parts:
            self.peer.wire.put(bytes(header) + bytes(part))

    def _mac_of(self, address: str) -> str:
        network = self.address.rpartition(".")[0]
        hop = address if address.rpartition(".")[0] == network else self.gateway
        if address in ("255.255.255.255", f"{network}.255"):
            return BROADCAST
        if hop not in self.neighbours:
            self._ask_for(hop)
            if not self.until(lambda: hop in self.neighbours, 3.0):
                raise AddressUnanswered(f"nobody on the peer's wire says that he is {hop}")
        return self.neighbours[hop]

    def _ask_for(self, address: str) -> None:
        asked = ARP(op="who-has", hwsrc=self.peer.mac, psrc=self.address, pdst=address)
        self.peer.send(Ether(src=self.peer.mac, dst=BROADCAST) / asked)

    def _look(self, seconds: float) -> None:
        """Take the next frame."""
        taken = self.peer.wire.take(seconds)
        frame = None if taken is None else Ether(taken)
        if frame is not None:
            self.frames.append(frame)
            self._take(frame)
            return
        for connection in list(self._connections.values()):
            connection.tick()

    def _take(self, frame: Packet) -> None:
        if ARP in frame:
            self._take_arp(frame[ARP])
        elif IP in frame and frame[IP].dst == self.address:
            self._take_packet(frame[IP])

    def _take_arp(self, message: Packet) -> None:
        if message.op == 2:
            self.neighbours[message.psrc] = message.hwsrc
        elif message.op == 1 and message.pdst == self.address:
            reply = ARP(op="is-at", hwsrc=self.peer.mac, psrc=self.address, hwdst=message.hwsrc, pdst=message.psrc)
            self.peer.send(Ether(src=self.peer.mac, dst=message.hwsrc) / reply)

    def _take_packet(self, packet: Packet) -> None:
        parts = self._parts(packet)
        if not parts:
            return
        first = parts[0]
        data = b"".join(bytes(part)[part.ihl * 4 : part.len] for part in parts)
        checked = first.proto in PROTOCOL.values() and not (first.proto == PROTOCOL["UDP"] and data[6:8] == b"\0\0")
        if checked and in4_chksum(first.proto, IP(src=first.src, dst=first.dst), data):
            return  # spoilt: a kernel drops it
        if first.proto == PROTOCOL["TCP"]:
            segment = first[TCP] if len(parts) == 1 else TCP(data)
            self._take_segment(first, segment, data[segment.dataofs * 4 :])
        elif first.proto == PROTOCOL["UDP"]:
            self._take_datagram(parts, UDP(data))
        elif ICMP in first:
            self._take_icmp(first)

    def _parts(self, packet: Packet) -> list[Packet]:
        """The packets that make up a whole, in order; none as long as some are missing."""
        if not packet.flags.MF and not packet.frag:
            return [packet]
        parts = self._fragments.setdefault((packet.src, packet.id), [])
        parts.append(packet)
        parts.sort(key=lambda part: int(part.frag))
        end = 0
        for part in parts:
            if part.frag * 8 != end:
                return []
            end += part.len - part.ihl * 4
        return [] if parts[-1].flags.MF else self._fragments.pop((packet.src, packet.id))

    def _take_segment(self, packet: Packet, segment: Packet, data: bytes) -> None:
        key = (segment.dport, packet.src, segment.sport)
        listener = self._listeners.get(segment.dport)
        if connection := self._connections.get(key):
            connection.take(segment, data)
        elif listener and segment.flags == "S":
            called = PeerConnection(self, (self.address, segment.dport), (packet.src, segment.sport))
            self._connections[key] = called
            listener.called.append(called)
            called.answer_syn(segment)
        elif not self.silent and "R" not in segment.flags:
            acknowledged = (segment.seq + len(data) + ("S" in segment.flags)) % (1 << 32)
            back = TCP(sport=segment.dport, dport=segment.sport, flags="RA", seq=segment.ack, ack=acknowledged)
            self.transmit(IP(src=self.address, dst=packet.src) / back)

    def _take_datagram(self, parts: list[Packet], datagram: Packet) -> None:
        if port := self._udp.get(datagram.dport):
            sizes, data = tuple(int(part.len) for part in parts), bytes(datagram)[8 : datagram.len]
            port.received.append(PeerDatagram(parts[0].src, datagram.sport, data, sizes, parts[0].ttl))

    def _take_icmp(self, packet: Packet) -> None:
        message = packet[ICMP]
        if message.type == ECHO_REPLY:
            self._echoes.add(message.seq)
        elif message.type in (UNREACHABLE, EXCEEDED):
            inner = IP(bytes(message.payload))
            ports = bytes(inner)[inner.ihl * 4 :]
            pair = (int.from_bytes(ports[:2], "big"), int.from_bytes(ports[2:4], "big"))
            names = {number: name for name, number in PROTOCOL.items()}
            protocol = names.get(inner.proto, str(inner.proto))
            self.errors.append(PeerError(packet.src, message.type, message.code, inner.dst, protocol, pair))
            connection = self._connections.get((pair[0], inner.dst, pair[1]))
            if protocol == "TCP" and connection and not connection.opened:
                connection.unreachable = (message.type, message.code, packet.src)
