"""The host's side of a tap: a packet socket on its interface, by packet(7)."""

import contextlib
import socket
from collections.abc import Iterator
from typing import TYPE_CHECKING

from qemunet_tests.deadline import Deadline

if TYPE_CHECKING:
    from qemunet_tests.isolation.station import Station

ETH_P_ALL = 3
PATIENCE_SECONDS = 3.0
LARGEST_FRAME_BYTES = 1 << 16


class TapSocket:
    """Takes what QEMU writes to a tap, and puts frames there for QEMU to read."""

    def __init__(self, packets: socket.socket) -> None:
        self._packets = packets

    def put(self, frame: bytes) -> None:
        """Send a frame. Raises OSError, ENETDOWN where the tap is down and EMSGSIZE where its MTU is less."""
        self._packets.send(frame)

    def take(self, within_seconds: float = PATIENCE_SECONDS) -> bytes | None:
        """The next frame from QEMU; None when none came in time."""
        deadline = Deadline(within_seconds, "a frame from the tap")
        while not deadline.passed:
            self._packets.settimeout(max(deadline.remaining_seconds, 0.001))
            try:
                frame, (_, _, kind, *_) = self._packets.recvfrom(LARGEST_FRAME_BYTES)
            except TimeoutError:
                return None
            if kind != socket.PACKET_OUTGOING:
                return frame
        return None


@contextlib.contextmanager
def at_tap(station: "Station", name: str) -> Iterator[TapSocket]:
    """The kernel's side of a tap, which must be up for anything to pass."""
    with station.entered():
        packets = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
    with packets:
        packets.bind((name, ETH_P_ALL))
        yield TapSocket(packets)
