"""A wire with net filters on it: a peer at its one end, a socket of the host's at the other.

The backend that is filtered is `net0`, of a QEMU without a machine. What a peer sends goes to it, `rx` as qemu(1) calls
that; what comes from the socket comes from it, `tx`. Frames are numbered, so that a list of numbers tells what came.
"""

import socket
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from qemunet_tests.deadline import Deadline
from qemunet_tests.errors import HarnessError

if TYPE_CHECKING:
    # scapy reads the machine's interfaces when it is imported: not before the lab has been entered.
    from qemunet_tests.guest.peer import Peer

#: Set aside by IEEE 802 for experiments: nobody else's frames have it.
ETHERTYPE = 0x88B5
FAR_MAC = "52:54:00:70:65:02"
LARGEST_FRAME_BYTES = 65536
#: Enough for a frame that passes at once, as long as nothing else is waited for.
QUIET_SECONDS = 0.3


def _numbered(number: int, source_mac: str, target_mac: str, size_bytes: int) -> bytes:
    """A frame that bears a number. What follows it is different in every one."""
    macs = bytes.fromhex(f"{target_mac}{source_mac}".replace(":", ""))
    head = macs + ETHERTYPE.to_bytes(2) + number.to_bytes(4)
    return head + bytes((number + at) & 0xFF for at in range(size_bytes - len(head)))


def number_in(frame: bytes) -> int | None:
    """None where it is nobody's numbered frame."""
    return int.from_bytes(frame[14:18]) if frame[12:14] == ETHERTYPE.to_bytes(2) else None


@dataclass(frozen=True)
class FilteredWire:
    """`far` is bound, and `near` is the address of QEMU's own socket, to which it sends."""

    peer: "Peer"
    far: socket.socket
    near: tuple[str, int]

    def frame_out(self, number: int, size_bytes: int = 60) -> bytes:
        """The peer's frame of a number."""
        return _numbered(number, self.peer.mac, FAR_MAC, size_bytes)

    def frame_back(self, number: int, size_bytes: int = 60) -> bytes:
        """The other end's."""
        return _numbered(number, FAR_MAC, self.peer.mac, size_bytes)

    def send_out(self, numbers: Iterable[int], size_bytes: int = 60) -> list[bytes]:
        """The peer's frames. Returns them."""
        sent = [self.frame_out(number, size_bytes) for number in numbers]
        for frame in sent:
            # By way of scapy, which is where a fault may stand.
            self.peer.wire.put(frame)
        return sent

    def send_back(self, numbers: Iterable[int], size_bytes: int = 60) -> list[bytes]:
        """Frames from the other end. Returns them."""
        sent = [self.frame_back(number, size_bytes) for number in numbers]
        for frame in sent:
            self.far.sendto(frame, self.near)
        return sent

    def came_out(self, most: int, within_seconds: float = 2.0) -> list[int]:
        """The numbers that come to the other end, until there are `most` or time is over."""
        deadline, found = Deadline(within_seconds, "frames at the other end"), list[int]()
        while len(found) < most and not deadline.passed:
            self.far.settimeout(max(deadline.remaining_seconds, 0.001))
            try:
                frame = self.far.recv(LARGEST_FRAME_BYTES)
            except TimeoutError:
                break
            if (number := number_in(frame)) is not None:
                found.append(number)
        return found

    def passes_at_once(self, most: int) -> list[int]:
        """The numbers that are at the other end already, for frames that are not expected to come."""
        return self.came_out(most, QUIET_SECONDS)

    def came_back(self, most: int, within_seconds: float = 2.0) -> list[int]:
        """The numbers that come to the peer."""
        deadline, found = Deadline(within_seconds, "frames at the peer"), list[int]()
        while len(found) < most and not deadline.passed:
            frame = self.peer.wire.take(deadline.remaining_seconds)
            if frame is not None and (number := number_in(frame)) is not None:
                found.append(number)
        return found

    def settle(self) -> None:
        """QEMU's main loop goes round, which is where frames are passed on and files written."""
        if self.peer.qemu is None:
            raise HarnessError("the peer has no QEMU")
        for _ in range(3):
            self.peer.qemu.monitor.execute("query-status")


class FilterSocket:
    """The other end of a filter's `indev` or `outdev`: a stream in which each frame has its length in front of it."""

    def __init__(self, path: str) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.connect(path)
        self._taken = b""

    def put(self, frame: bytes) -> None:
        self._socket.sendall(len(frame).to_bytes(4) + frame)

    def take(self, most: int, within_seconds: float = 2.0) -> list[bytes]:
        """Whole frames, until there are `most` or time is over."""
        deadline, found = Deadline(within_seconds, "frames of a filter"), list[bytes]()
        while len(found) < most and not deadline.passed:
            size_bytes = int.from_bytes(self._taken[:4])
            if len(self._taken) >= 4 + size_bytes > 4:
                found.append(self._taken[4 : 4 + size_bytes])
                self._taken = self._taken[4 + size_bytes :]
                continue
            self._socket.settimeout(max(deadline.remaining_seconds, 0.001))
            try:
                more = self._socket.recv(LARGEST_FRAME_BYTES)
            except TimeoutError:
                break
            if not more:
                break
            self._taken += more
        return found

    def close(self) -> None:
        self._socket.close()
