"""TCP as a peer speaks it: one connection, one question, and every byte that comes back."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from qemunet_tests.deadline import Deadline
from qemunet_tests.observe.ip_peer import FIRST_OWN_PORT, LAST_OWN_PORT, IpPeer, Told, told_about
from qemunet_tests.observe.packet_content import TCP_NUMBER, addresses_of, content_of, is_sound, protocol_of
from qemunet_tests.timeouts import turns

if TYPE_CHECKING:
    # scapy reads the machine's interfaces when it is imported: not before the lab has been entered.
    from scapy.packet import Packet

#: What a segment on an Ethernet may carry by IPv4 and by IPv6, and how many bytes may be on their way.
SEGMENT_BYTES, IPV6_SEGMENT_BYTES, WINDOW_BYTES = 1460, 1440, 65535
SEQUENCE_NUMBERS = 1 << 32
#: RFC 6298, 2.4: who hears nothing for so long sends again.
AGAIN_SECONDS = 1.0


@dataclass(frozen=True)
class Refused:
    """The connection was reset before it was one."""

    def __str__(self) -> str:
        return "connection refused"


def ask_stream(
    stack: IpPeer, to: str, port: int, content: bytes, enough: Callable[[bytes], bool], within_seconds: float = 2.0
) -> bytes | Refused | Told | None:
    """What comes back by TCP, once it is `enough` or the other end has said its last; None where nothing does."""
    connection = _Connection(stack, to, port)
    if not connection.open(within_seconds):
        return connection.instead
    try:
        for patience_seconds in turns(within_seconds):
            if enough(connection.converse(content, enough, patience_seconds)) or connection.ended:
                break
        return connection.received or None
    finally:
        connection.reset()


class _Connection:
    """What is known at the peer's end of a connection. Bytes of its own are counted from 0, behind the SYN."""

    def __init__(self, stack: IpPeer, to: str, port: int) -> None:
        self._stack, self._to, self._port = stack, to, port
        self._own_port = random.randint(FIRST_OWN_PORT, LAST_OWN_PORT)
        self._first = random.randrange(SEQUENCE_NUMBERS)
        self._sent = self._acknowledged = self._expected = 0
        self.instead: Refused | Told | None = None
        self.received, self.ended = b"", False

    def open(self, within_seconds: float) -> bool:
        """True once the other end has agreed; else `instead` is what came instead."""
        asked = self._segment(
            "S", self._first, options=[("MSS", IPV6_SEGMENT_BYTES if ":" in self._to else SEGMENT_BYTES)]
        )
        ports = self._own_port.to_bytes(2) + self._port.to_bytes(2)
        told: list[Told] = []

        def answers(frame: "Packet") -> bool:
            if error := told_about(frame, ports):
                told.append(error)
            return bool(told) or self._is_for_us(frame)

        answer = self._stack.ask(asked, answers, within_seconds)
        if answer is None or told or _header(answer).flags.R:
            self.instead = told[0] if told else answer and Refused()
            return False
        self._expected = (_header(answer).seq + 1) % SEQUENCE_NUMBERS
        self._acknowledge()
        return True

    def converse(self, content: bytes, enough: Callable[[bytes], bool], within_seconds: float) -> bytes:
        """Send what is not acknowledged yet, and take what comes."""
        deadline = Deadline(within_seconds, "an answer by TCP")
        while not deadline.passed and not self.ended and not enough(self.received):
            self._send_on(content)
            wait_seconds = min(AGAIN_SECONDS, max(deadline.remaining_seconds, 0.001))
            while frame := self._stack.peer.receive(self._is_for_us, wait_seconds):
                self._take(frame)
                if self.ended or enough(self.received):
                    break
        return self.received

    def _send_on(self, content: bytes) -> None:
        for at in range(self._acknowledged, len(content), IPV6_SEGMENT_BYTES):
            piece = content[at : at + IPV6_SEGMENT_BYTES]
            self._sent = max(self._sent, at + len(piece))
            self._stack.peer.send(self._segment("PA", self._first + 1 + at, piece))

    def _take(self, frame: "Packet") -> None:
        header, content = _header(frame), _content(frame)
        if header.flags.A:
            self._acknowledged = max(self._acknowledged, (header.ack - self._first - 1) % SEQUENCE_NUMBERS)
        self.ended = self.ended or bool(header.flags.R)
        if not content and not header.flags.F:
            return
        if header.seq == self._expected:
            self.received += content
            self._expected = (self._expected + len(content) + bool(header.flags.F)) % SEQUENCE_NUMBERS
            self.ended = self.ended or bool(header.flags.F)
        self._acknowledge()

    def _acknowledge(self) -> None:
        self._stack.peer.send(self._segment("A", self._first + 1 + self._sent))

    def reset(self) -> None:
        """Have the other end forget the connection."""
        self._stack.peer.send(self._segment("RA", self._first + 1 + self._sent))

    def _segment(
        self, flags: str, sequence: int, content: bytes = b"", options: list[tuple[str, int]] | None = None
    ) -> "Packet":
        from scapy.layers.inet import TCP
        from scapy.packet import Raw

        header = TCP(
            sport=self._own_port, dport=self._port, flags=flags, seq=sequence % SEQUENCE_NUMBERS, ack=self._expected,
            window=WINDOW_BYTES, options=options or [],
        )  # fmt: skip
        return self._stack.packet(self._to) / header / Raw(content)

    def _is_for_us(self, frame: "Packet") -> bool:
        ends = (self._to, self._stack.own_address(self._to))
        if protocol_of(frame) != TCP_NUMBER or addresses_of(frame) != ends or not is_sound(frame):
            return False
        return bool((_header(frame).sport, _header(frame).dport) == (self._port, self._own_port))


def _header(frame: "Packet") -> "Packet":
    from scapy.layers.inet import TCP

    return frame[TCP]


def _content(frame: "Packet") -> bytes:
    return content_of(frame)[int(_header(frame).dataofs) * 4 :]
