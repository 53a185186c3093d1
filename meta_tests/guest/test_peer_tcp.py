"""How long a peer waits for what comes by TCP."""

from collections.abc import Callable

from scapy.packet import Packet

from qemunet_tests.guest.peer_tcp import PeerConnection

PIECE = b"a piece "


class SlowWire:
    """In each patience so many pieces come, until there are no more; time itself does not pass."""

    def __init__(self, pieces: int, ends: bool) -> None:
        self.left, self.ends, self.asked = pieces, ends, 0
        self.connection = PeerConnection(self, ("10.0.2.15", 1024), ("10.0.2.2", 7))

    def until(self, condition: Callable[[], object], within_seconds: float) -> bool:
        self.asked += 1
        if self.left:
            self.left -= 1
            self.connection.received += PIECE
            self.connection.ended = self.ends and not self.left
        return bool(condition()) and within_seconds > 0

    def send_to(self, address: str, content: Packet, ttl: int = 64) -> None:
        raise AssertionError(f"{address} is sent {content} with TTL {ttl}")


def test_much_data_may_take_as_long_as_it_comes() -> None:
    assert SlowWire(pieces=4, ends=True).connection.read_to_end() == PIECE * 4


def test_silence_is_waited_for_once() -> None:
    silent = SlowWire(pieces=0, ends=False)
    assert silent.connection.read(1) == b""
    assert silent.connection.wait_over() == "silence"
    assert silent.asked == 2


def test_what_stops_half_way_is_what_came() -> None:
    stops = SlowWire(pieces=2, ends=False)
    assert stops.connection.read_to_end() == PIECE * 2
    assert stops.asked == 3


def test_nor_is_it_waited_for_without_end() -> None:
    endless = SlowWire(pieces=1_000_000, ends=False)
    endless.connection.read_to_end()
    assert endless.asked < 100
