"""TCP of a peer that stands in for a guest: one end of a connection, as plain as RFC 9293 allows.

It takes data in order only, acknowledges at once, and sends again what nobody has answered for three seconds.
"""

import itertools
import random
from collections.abc import Callable, Collection, Sequence

from scapy.layers.inet import TCP
from scapy.packet import Packet

from qemunet_tests.deadline import Deadline
from qemunet_tests.guest.icmp_error import IcmpError
from qemunet_tests.guest.peer_udp import PacketSender

#: What a segment on an Ethernet may carry by IPv4 and by IPv6, and how many bytes may be on their way.
MSS, IPV6_MSS, WINDOW, SEQUENCE = 1460, 1440, 65535, 1 << 32
AGAIN_SECONDS = 3.0
#: As often as this a patience begins anew while bytes pass.
MOVING_TIMES = 10
#: Of TCP, as scapy writes them.
Options = Sequence[tuple[str, object]]


class PeerConnection:
    """A peer's end of a TCP connection.

    `opened` once both ends agreed on it, `answer` is what answered the SYN. `refused` by a reset instead, `unreachable`
    the ICMP error that came instead. `received` is every byte so far, in order, `ended`
    is true once the other end has said that no more will come, `reset` once it has taken the connection away,
    `urgent` the places in `received` at which urgent data ended, `stray` the flags of what came before any answer.
    """

    def __init__(self, sender: PacketSender, local: tuple[str, int], far: tuple[str, int]) -> None:
        self.local, self.far, self._sender = local, far, sender
        self.answer: Packet | None = None
        self.opened = self.refused = self.reset = self.ended = self._closing = False
        self.unreachable: IcmpError | None = None
        self.received, self.urgent, self.stray = bytearray(), list[int](), list[str]()
        self._dialled: Options | None = None
        #: When what nobody has answered is sent again. Who takes part of a segment, as passt does, waits for that.
        self.again_seconds = AGAIN_SECONDS
        #: What a segment may carry, and is told to the other end.
        self.mss = IPV6_MSS if ":" in far[0] else MSS
        #: For how many bytes there is room here, as the other end is told.
        self.room = WINDOW
        #: Which of the segments that come with data, counted from 0, are lost on their way.
        self.lost: Collection[int] = ()
        self._came = itertools.count()
        self._first = random.randrange(SEQUENCE)
        self._acknowledged = self._sent = self._window = self._expected = 0
        self._out = bytearray()
        self._progress = Deadline(AGAIN_SECONDS, "an acknowledgement")

    def dial(self, options: Options | None = None) -> None:
        """Ask for the connection, with these options or the least."""
        self._dialled = [("MSS", self.mss)] if options is None else options
        self._segment("S", options=list(self._dialled))

    def answer_syn(self, segment: Packet) -> None:
        """Somebody has asked us for it."""
        self._expected, self._window = (segment.seq + 1) % SEQUENCE, segment.window
        self._segment("SA", options=[("MSS", self.mss)])

    def wait_opened(self, within_seconds: float = 5.0) -> bool:
        """Whether it opens."""
        self._sender.until(lambda: self.opened or self.refused or self.unreachable, within_seconds)
        return self.opened

    def send(self, data: bytes, urgent: bool = False) -> None:
        """Send these bytes, as the other end takes them; the last of them urgently, where that is said."""
        self._out += data
        self._push(len(self._out) if urgent else 0)

    def send_pieces(self, data: bytes, pieces: Sequence[tuple[int, int]]) -> None:
        """Send these bytes as pieces, each from one place to another, in this order: lost, doubled, overtaking.

        What was sent before has to be acknowledged.
        """
        before, self._out = self._sent, self._out + data
        for begin, end in pieces:
            self._sent = before + begin
            self._segment("PA", data[begin:end])
        self._sent = before + len(data)
        self._progress = Deadline(self.again_seconds, "an acknowledgement")

    def tell_room(self, room_bytes: int) -> None:
        """Say for how many bytes there is room here."""
        self.room = room_bytes
        self._segment("A")

    def finish(self) -> None:
        """Say that no more will come from here; what the other end sends is still taken."""
        self._closing = True
        self._push()

    def abort(self) -> None:
        """Take the connection away."""
        self._segment("RA")
        self.reset = True

    def wait_sent(self, within_seconds: float = 10.0) -> bool:
        """Whether everything that was sent here has been acknowledged, the end of it included."""
        return self._while_it_moves(lambda: self._acknowledged == self._length or self.reset, within_seconds)

    def read(self, count: int, within_seconds: float = 10.0) -> bytes:
        """All that has come, once it is as much as `count` bytes, or no more will come, or the time is over."""
        self._while_it_moves(lambda: len(self.received) >= count or self.over, within_seconds)
        return bytes(self.received)

    def read_to_end(self, within_seconds: float = 10.0) -> bytes:
        """All that came, once the other end has said that it was all."""
        self._while_it_moves(lambda: self.over, within_seconds)
        return bytes(self.received)

    def wait_over(self, within_seconds: float = 5.0) -> str:
        """How the other end ends the connection: `end`, `reset`, or `silence` where it does not."""
        self._while_it_moves(lambda: self.over, within_seconds)
        return "reset" if self.reset else "end" if self.ended else "silence"

    def take(self, segment: Packet, data: bytes) -> None:
        """A segment has come from the other end."""
        flags = segment.flags
        if "R" in flags:
            self.refused, self.reset = not self.opened, self.opened
            return
        if "S" in flags:
            self._take_syn(segment)
            return
        if self._dialled is not None and not self.opened:
            self.stray.append(str(flags))
            return
        if "A" in flags:
            self._take_acknowledgement(segment)
        if data and next(self._came) in self.lost:
            return
        if data or "F" in flags:
            self._take_data(segment, data)

    def tick(self) -> None:
        """Some time has passed."""
        if not self._progress.passed:
            return
        if self.opened and not self.reset and self._sent > self._acknowledged:
            self._progress = Deadline(self.again_seconds, "an acknowledgement")
            self._sent = self._acknowledged
            self._push()
        elif self._dialled is not None and not self._answered:
            self._progress = Deadline(AGAIN_SECONDS, "an answer")
            self._segment("S", options=list(self._dialled))

    def _while_it_moves(self, condition: Callable[[], object], within_seconds: float) -> bool:
        """Whether `condition` becomes true; the time begins anew, some times, where bytes have passed in it.

        How long many bytes take is up to the machine, and half of them are no word about the other end.
        """
        for _ in range(MOVING_TIMES):
            passed = len(self.received), self._acknowledged
            if self._sender.until(condition, within_seconds):
                return True
            if passed == (len(self.received), self._acknowledged):
                return False
        return False

    @property
    def over(self) -> bool:
        """Whether no more will come."""
        return self.ended or self.reset or self.refused

    @property
    def _answered(self) -> bool:
        """Whether there is no use in asking again."""
        return bool(self.opened or self.refused or self.reset or self.unreachable or self.stray)

    @property
    def _length(self) -> int:
        """How many numbers all that is to be sent takes, its end included."""
        return len(self._out) + self._closing

    def _take_syn(self, segment: Packet) -> None:
        if "A" in segment.flags:
            if not self.opened:
                self.answer, self._expected = segment, (segment.seq + 1) % SEQUENCE
                self._window, self.opened = segment.window, True
            self._segment("A")
        else:
            self.answer_syn(segment)

    def _take_acknowledgement(self, segment: Packet) -> None:
        number = (segment.ack - self._first - 1) % SEQUENCE
        self.opened, self._window = True, segment.window
        if self._acknowledged < number <= self._sent:
            self._acknowledged = number
            self._progress = Deadline(self.again_seconds, "an acknowledgement")
        self._push()

    def _take_data(self, segment: Packet, data: bytes) -> None:
        if segment.seq == self._expected and not self.ended:
            if "U" in segment.flags:
                self.urgent.append(len(self.received) + segment.urgptr)
            self.received += data
            self.ended = "F" in segment.flags
            self._expected = (self._expected + len(data) + self.ended) % SEQUENCE
        self._segment("A")

    def _push(self, urgent_at: int = 0) -> None:
        """Send what the other end has room for."""
        limit = self._acknowledged + self._window
        while self.opened and self._sent < min(len(self._out), limit):
            data = bytes(self._out[self._sent : min(self._sent + self.mss, limit)])
            flags, pointer = ("PAU", urgent_at - self._sent) if urgent_at > self._sent else ("PA", 0)
            self._segment(flags, data, urgptr=pointer)
            self._sent += len(data)
        if self._closing and self.opened and self._sent == len(self._out):
            self._segment("FA")
            self._sent += 1

    def _segment(self, flags: str, data: bytes = b"", **fields: object) -> None:
        opening = "S" in flags
        number = self._first if opening else (self._first + 1 + self._sent) % SEQUENCE
        header = TCP(
            sport=self.local[1], dport=self.far[1], flags=flags, seq=number, window=self.room,
            ack=self._expected if "A" in flags else 0, **fields,
        )  # fmt: skip
        self._sender.send_to(self.far[0], header / data)


class PeerListener:
    """A TCP port of a peer at which it takes connections."""

    def __init__(self, sender: PacketSender, port: int) -> None:
        self.port, self._sender = port, sender
        self.called: list[PeerConnection] = []
        self._taken = 0

    def accept(self, within_seconds: float = 5.0) -> PeerConnection | None:
        """The next connection, once it is open; None where none opens in time."""
        if not self._sender.until(lambda: len(self._opened) > self._taken, within_seconds):
            return None
        self._taken += 1
        return self._opened[self._taken - 1]

    @property
    def _opened(self) -> list[PeerConnection]:
        return [each for each in self.called if each.opened]
