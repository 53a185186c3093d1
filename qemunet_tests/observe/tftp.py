"""TFTP, asked by a peer: RFC 1350, with the options of RFC 2347 to 2349."""

import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from qemunet_tests.errors import HarnessError
from qemunet_tests.guest.address_resolution import ADDRESS
from qemunet_tests.observe.arp import who_has
from qemunet_tests.observe.silence import answer_or_silence, waits_at

if TYPE_CHECKING:
    # scapy reads the machine's interfaces when it is imported: not before the lab has been entered.
    from scapy.packet import Packet

    from qemunet_tests.guest.peer import Peer

SERVER_PORT = 69
#: RFC 1350, 5: what a message begins with; RFC 2347 for the last.
READ, WRITE, DATA, ACK, ERROR, OPTIONS = range(1, 7)
#: RFC 1350: a block that is shorter is the last, unless another size was agreed on.
BLOCK_BYTES = 512
#: Any port of a client will do; these are in nobody's way.
FIRST_CLIENT_PORT = 20000


@dataclass(frozen=True)
class TftpMessage:
    """What a server says. `number` is that of a block or of an error; `port` is where it comes from."""

    kind: int
    number: int
    content: bytes
    port: int

    @property
    def options(self) -> dict[str, str]:
        """What an acknowledgement of options says."""
        words = self.content.decode("ascii", "backslashreplace").split("\0")[:-1]
        return dict(zip(words[::2], words[1::2], strict=False))

    def __str__(self) -> str:
        if self.kind == ERROR:
            return f"error {self.number}, {self.content.rstrip(bytes(1)).decode('ascii', 'backslashreplace')}"
        if self.kind == OPTIONS:
            return f"options {self.options}"
        return f"block {self.number}, {len(self.content)} bytes" if self.kind == DATA else f"message {self.kind}"


def tftp_in_words(message: TftpMessage | None) -> str:
    """What came, in a word."""
    return "no answer" if message is None else str(message)


class TftpClient:
    """One transfer at a time with the server at an address, from a port of its own."""

    def __init__(self, peer: "Peer", server: str, port: int = FIRST_CLIENT_PORT, own: str = ADDRESS) -> None:
        """Raises HarnessError where nobody has that address: then nothing is known about a server."""
        owner = who_has(peer, server, own=own)
        if owner is None:
            raise HarnessError(f"nobody answers ARP for {server}, so its TFTP server cannot be asked")
        self._peer, self._owner, self._port, self._own = peer, owner, port, own

    def of_guest(self, own: str) -> "TftpClient":
        """A client with the same port, of another guest, which is at the address `own`."""
        return TftpClient(self._peer, self._owner.address, self._port, own)

    def read(
        self, name: str, options: Mapping[str, str] | None = None, mode: str = "octet", within_seconds: float = 2.0
    ) -> TftpMessage | None:
        """What comes to the request to read a file; None where nothing does."""
        return self._ask(_request(READ, name, mode, options or {}), within_seconds)

    def write(self, name: str) -> TftpMessage | None:
        """What comes to the request to write a file; None where QEMU has taken it and says nothing."""
        return self._answer_or_silence(_request(WRITE, name, "octet", {}))

    def waits_for(self, name: str, fifo: Path) -> bool:
        """Whether the request to read a FIFO makes QEMU wait for a writer, and take nothing meanwhile."""
        return waits_at(self._peer, self._frame(_request(READ, name, "octet", {})), fifo)

    def block_after(self, number: int) -> TftpMessage | None:
        """What comes when the blocks up to `number`, counted from 1, are acknowledged."""
        following = (number + 1) % 0x10000
        message = struct.pack(">HH", ACK, number % 0x10000)
        return self._ask(message, 2.0, lambda got: got.kind != DATA or got.number == following)

    def after(self, number: int) -> TftpMessage | None:
        """What comes when a block is acknowledged behind which there is none; None where QEMU says nothing."""
        return self._answer_or_silence(struct.pack(">HH", ACK, number))

    def gives_up(self) -> TftpMessage | None:
        """What comes to an error, by which a client ends a transfer; None where QEMU says nothing."""
        return self._answer_or_silence(struct.pack(">HH", ERROR, 0) + b"enough\0")

    def fetch(self, name: str, block_bytes: int | None = None) -> "bytes | TftpMessage | None":
        """The whole file, in blocks of the size asked for; else what came instead, None for nothing."""
        if block_bytes is None:
            message = self.read(name)
        else:
            agreed = self.read(name, {"blksize": str(block_bytes)})
            if agreed is None or agreed.options.get("blksize") != str(block_bytes):
                return agreed
            message = self.block_after(0)
        return self._rest(message, block_bytes or BLOCK_BYTES)

    def _rest(self, message: TftpMessage | None, block_bytes: int) -> "bytes | TftpMessage | None":
        content, count = bytearray(), 0
        while message is not None and message.kind == DATA and message.number == (count + 1) % 0x10000:
            content += message.content
            count += 1
            if len(message.content) < block_bytes:
                return bytes(content)
            message = self.block_after(count)
        return message

    def _ask(
        self, payload: bytes, within_seconds: float, wanted: Callable[[TftpMessage], bool] = lambda _: True
    ) -> TftpMessage | None:
        def fits(frame: "Packet") -> bool:
            message = self._message(frame)
            return message is not None and wanted(message)

        answer = self._peer.ask(self._frame(payload), fits, within_seconds)
        return None if answer is None else self._message(answer)

    def _answer_or_silence(self, payload: bytes) -> TftpMessage | None:
        answer = answer_or_silence(self._peer, self._frame(payload), lambda frame: self._message(frame) is not None)
        return None if answer is None else self._message(answer)

    def _frame(self, payload: bytes) -> "Packet":
        from scapy.layers.inet import IP, UDP
        from scapy.layers.l2 import Ether

        header = Ether(src=self._peer.mac, dst=self._owner.mac) / IP(src=self._own, dst=self._owner.address)
        return header / UDP(sport=self._port, dport=SERVER_PORT) / payload

    def _message(self, frame: "Packet") -> TftpMessage | None:
        from scapy.layers.inet import IP, UDP

        ways = (self._owner.address, self._own, self._port)
        if UDP not in frame or (frame[IP].src, frame[IP].dst, frame[UDP].dport) != ways:
            return None
        # What is behind the datagram's end fills a frame.
        payload = bytes(frame[UDP].payload)[: frame[UDP].len - 8]
        (kind,) = struct.unpack_from(">H", payload)
        if kind == OPTIONS:
            return TftpMessage(kind, 0, payload[2:], frame[UDP].sport)
        return TftpMessage(kind, struct.unpack_from(">H", payload, 2)[0], payload[4:], frame[UDP].sport)


def _request(kind: int, name: str, mode: str, options: Mapping[str, str]) -> bytes:
    words = [name, mode, *(word for option in options.items() for word in option)]
    return struct.pack(">H", kind) + b"".join(word.encode() + b"\0" for word in words)
