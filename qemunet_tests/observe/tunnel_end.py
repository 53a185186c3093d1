"""The other end of an L2TPv3 tunnel by UDP, as a socket of ours. Sources: RFC 3931, 4.1.2.1; QEMU, net/l2tpv3.c."""

import struct

from qemunet_tests.observe.frame_sockets import FrameDatagrams

DATA = 0x00030000


class TunnelSocket:
    """Takes and puts frames in packets of a tunnel.

    `tx_session` is what QEMU writes into what it sends, `rx_session` what it is to find in what it receives; likewise
    the two `cookies`. With a `counter` frames are numbered, from there on those that are put. `offset_bytes` stand
    between header and frame.
    """

    def __init__(
        self,
        packets: FrameDatagrams,
        tx_session: int,
        rx_session: int,
        cookies: tuple[bytes, bytes] = (b"", b""),
        counter: int | None = None,
        offset_bytes: int = 0,
    ) -> None:
        self._packets = packets
        self._tx, self._rx = (
            struct.pack(">II", DATA, session) + cookie
            for session, cookie in zip((tx_session, rx_session), cookies, strict=True)
        )
        self._counter = counter
        self._offset = bytes(offset_bytes)
        #: Those of the frames that were taken.
        self.numbers: list[int] = []

    def put(self, frame: bytes) -> None:
        """Send a frame."""
        number = b""
        if self._counter is not None:
            number = struct.pack(">I", self._counter)
            self._counter += 1
        self._packets.put(self._rx + number + self._offset + frame)

    def take(self) -> bytes | None:
        """The next frame; None when none came in time, or one with another header."""
        packet = self._packets.take()
        if packet is None or not packet.startswith(self._tx):
            return None
        rest = packet[len(self._tx) :]
        if self._counter is not None:
            self.numbers.append(struct.unpack(">I", rest[:4])[0])
            rest = rest[4:]
        return rest[len(self._offset) :]
