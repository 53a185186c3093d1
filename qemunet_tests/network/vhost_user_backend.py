"""The other end of `-netdev vhost-user`: frames out of a guest's memory and into it, by the guest's own queues.

Sources: "Vhost-user Protocol" in QEMU's interoperability manual; Virtual I/O Device 1.2, "Split Virtqueues". It offers
what carrying frames takes, and nothing beyond that: no checksums, no segments, no merged buffers, no log of writes.
Run as a module with PATH TAP it listens at PATH, and carries frames between whichever QEMU calls there and a tap.
"""

import contextlib
import fcntl
import os
import select
import socket
import struct
import sys
import threading
from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path

from qemunet_tests.network.shared_memory import SharedMemory

PATIENCE_SECONDS = 3.0
LARGEST_FRAME_BYTES = 1 << 16
MOST_REGIONS = 8
CALLING_SECONDS = 0.02
#: Flags of a message: the version, that it is an answer, that it wants one.
VERSION, REPLY, NEED_REPLY = 1, 4, 8
#: Features: several pairs of queues, the protocol has features of its own, the device is of version 1.
SEVERAL_PAIRS, HAS_PROTOCOL, VERSION_1 = 1 << 22, 1 << 30, 1 << 32
#: Features of the protocol: several pairs of queues, whoever sends is told what became of it.
PROTOCOL_SEVERAL_PAIRS, PROTOCOL_REPLY = 1 << 0, 1 << 3
#: In front of every frame: 12 bytes where the device is of version 1, else 10.
HEADER_BYTES, OLD_HEADER_BYTES = 12, 10
#: Of a descriptor: another follows.
NEXT = 1
#: linux/if_tun.h.
TUNSETIFF, IFF_TAP, IFF_NO_PI = 0x400454CA, 0x0002, 0x1000


class Request(IntEnum):
    """What QEMU asks for, as far as it is answered or obeyed here."""

    GET_FEATURES = 1
    SET_FEATURES = 2
    SET_MEM_TABLE = 5
    SET_VRING_NUM = 8
    SET_VRING_ADDR = 9
    SET_VRING_BASE = 10
    GET_VRING_BASE = 11
    SET_VRING_KICK = 12
    SET_VRING_CALL = 13
    SET_VRING_ERR = 14
    GET_PROTOCOL_FEATURES = 15
    GET_QUEUE_NUM = 17
    SET_VRING_ENABLE = 18


@dataclass
class Queue:
    """A ring of buffers: its size, where its three parts are for QEMU, how far we are, and what rings its bells."""

    size: int = 0
    descriptors: int = 0
    available: int = 0
    used: int = 0
    taken: int = 0
    enabled: bool = False
    bells: dict[int, int] = field(default_factory=dict)

    @property
    def runs(self) -> bool:
        return self.enabled and self.size > 0 and Request.SET_VRING_KICK in self.bells

    def hear(self, bell: int, descriptors: list[int]) -> None:
        """Another one in the place of the bell of this kind; none means that there is none any more."""
        if bell in self.bells:
            os.close(self.bells.pop(bell))
        for descriptor in descriptors:
            self.bells[bell] = descriptor

    def silence(self) -> None:
        """Let go of its bells: QEMU gives others before it runs again."""
        while self.bells:
            os.close(self.bells.popitem()[1])


class ConnectedQemu:
    """A QEMU that is connected. `frames` is a descriptor from which frames are read, and to which they are written.

    Of each pair of queues the first is for what the guest receives, the second for what it sends.
    """

    def __init__(self, qemu: socket.socket, frames: int, pairs: int = 1) -> None:
        self._qemu = qemu
        self._frames = frames
        self._pairs = pairs
        self._queues = [Queue() for _ in range(2 * pairs)]
        self._memory = SharedMemory()
        self._header_bytes = OLD_HEADER_BYTES

    def serve(self, until: int) -> None:
        """Carry frames until QEMU hangs up, or the descriptor `until` can be read."""
        try:
            while self._turn(until):
                pass
        except ConnectionError:
            return
        finally:
            for queue in self._queues:
                queue.silence()
            self._memory.forget()

    def _turn(self, until: int) -> bool:
        running = [queue for queue in self._queues[1::2] if queue.runs]
        kicks = [queue.bells[Request.SET_VRING_KICK] for queue in running]
        ready, _, _ = select.select([self._qemu.fileno(), self._frames, until, *kicks], [], [])
        if until in ready or (self._qemu.fileno() in ready and not self._answer()):
            return False
        for kick in set(kicks) & set(ready):
            with contextlib.suppress(OSError):
                os.read(kick, 8)
        for queue in self._queues[1::2]:
            self._carry_out(queue)
        if self._frames in ready:
            self._carry_in(self._queues[0], os.read(self._frames, LARGEST_FRAME_BYTES))
        return True

    def _answer(self) -> bool:
        """Do what the next message says; False where there is none any more."""
        head, descriptors, _, _ = socket.recv_fds(self._qemu, 12, MOST_REGIONS)
        if len(head) < 12:
            return False
        request, flags, size = struct.unpack("<III", head)
        content = self._qemu.recv(size, socket.MSG_WAITALL) if size else b""
        said = self._obeyed(request, content, descriptors)
        if said is None and flags & NEED_REPLY:
            said = bytes(8)
        if said is not None:
            self._qemu.sendall(struct.pack("<III", request, VERSION | REPLY, len(said)) + said)
        return True

    def _obeyed(self, request: int, content: bytes, descriptors: list[int]) -> bytes | None:
        """The answer; None where there is none."""
        match request:
            case Request.GET_FEATURES:
                return struct.pack("<Q", VERSION_1 | HAS_PROTOCOL | (SEVERAL_PAIRS if self._pairs > 1 else 0))
            case Request.GET_PROTOCOL_FEATURES:
                return struct.pack("<Q", PROTOCOL_REPLY | (PROTOCOL_SEVERAL_PAIRS if self._pairs > 1 else 0))
            case Request.GET_QUEUE_NUM:
                return struct.pack("<Q", self._pairs)
            case Request.SET_FEATURES:
                modern = struct.unpack("<Q", content)[0] & VERSION_1
                self._header_bytes = HEADER_BYTES if modern else OLD_HEADER_BYTES
            case Request.SET_MEM_TABLE:
                self._memory.map(content, descriptors)
            case Request.GET_VRING_BASE:
                queue = self._queue(content)
                queue.enabled = False
                queue.silence()
                return content[:4] + struct.pack("<I", queue.taken)
            case Request.SET_VRING_KICK | Request.SET_VRING_CALL | Request.SET_VRING_ERR:
                self._queue(content).hear(request, descriptors)
            case _:
                self._set_up(request, content)
        return None

    def _set_up(self, request: int, content: bytes) -> None:
        match request:
            case Request.SET_VRING_NUM:
                self._queue(content).size = struct.unpack_from("<I", content, 4)[0]
            case Request.SET_VRING_BASE:
                self._queue(content).taken = struct.unpack_from("<I", content, 4)[0]
            case Request.SET_VRING_ENABLE:
                self._queue(content).enabled = struct.unpack_from("<I", content, 4)[0] == 1
            case Request.SET_VRING_ADDR:
                queue = self._queue(content)
                queue.descriptors, queue.used, queue.available = struct.unpack_from("<QQQ", content, 8)

    def _queue(self, content: bytes) -> Queue:
        return self._queues[content[0]]

    def _carry_out(self, queue: Queue) -> None:
        """Everything that the guest has put into a queue."""
        while (head := self._next(queue)) is not None:
            parts = [self._memory.of_guest(address, length) for address, length in self._buffers(queue, head)]
            frame = b"".join(parts)[self._header_bytes :]
            # Nobody waits for who does not take it.
            with contextlib.suppress(BlockingIOError):
                os.write(self._frames, frame)
            self._give_back(queue, head, 0)

    def _carry_in(self, queue: Queue, frame: bytes) -> None:
        """Into the next buffer that the guest has for it; where it has none the frame is lost."""
        if (head := self._next(queue)) is None:
            return
        # Only the last two of its fields are not 0: one buffer, where buffers are counted.
        left = (bytes(10) + b"\1\0")[: self._header_bytes] + frame
        written = 0
        for address, length in self._buffers(queue, head):
            self._memory.put_at_guest(address, left[:length])
            written, left = written + len(left[:length]), left[length:]
        self._give_back(queue, head, written)

    def _next(self, queue: Queue) -> int | None:
        """The first descriptor of what the guest has put there next."""
        if not queue.runs:
            return None
        (index,) = struct.unpack("<H", self._memory.of_qemu(queue.available + 2, 2))
        if index == queue.taken & 0xFFFF:
            return None
        place = queue.available + 4 + 2 * (queue.taken % queue.size)
        queue.taken = (queue.taken + 1) & 0xFFFF
        return int(struct.unpack("<H", self._memory.of_qemu(place, 2))[0])

    def _buffers(self, queue: Queue, head: int) -> list[tuple[int, int]]:
        """Where the guest has them, and how many bytes each holds. No chain is longer than its queue."""
        found, following = [], head
        for _ in range(queue.size):
            described = self._memory.of_qemu(queue.descriptors + 16 * following, 16)
            address, length, flags, following = struct.unpack("<QIHH", described)
            found.append((address, length))
            if not flags & NEXT:
                break
        return found

    def _give_back(self, queue: Queue, head: int, written: int) -> None:
        (index,) = struct.unpack("<H", self._memory.of_qemu(queue.used + 2, 2))
        self._memory.put_at_qemu(queue.used + 4 + 8 * (index % queue.size), struct.pack("<II", head, written))
        self._memory.put_at_qemu(queue.used + 2, struct.pack("<H", (index + 1) & 0xFFFF))
        if (bell := queue.bells.get(Request.SET_VRING_CALL)) is not None:
            os.write(bell, struct.pack("<Q", 1))


class VhostUserBackend:
    """A backend within this process, and what it carries: it takes and puts whole Ethernet frames.

    At `path` it listens, one QEMU after the other, or, with `calls`, calls the one that listens there, as soon as one
    does. Raises OSError where that is not possible.
    """

    def __init__(self, path: Path, *, calls: bool = False, pairs: int = 1) -> None:
        self._ours, self._theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._theirs.setblocking(False)
        self._ending = os.eventfd(0)
        self._pairs = pairs
        self._path = path
        self._socket = socket.socket(socket.AF_UNIX)
        if not calls:
            self._socket.bind(str(path))
            path.chmod(0o666)
            self._socket.listen()
        self._thread = threading.Thread(target=self._call if calls else self._listen, daemon=True)
        self._thread.start()

    def put(self, frame: bytes) -> None:
        """Give the guest a frame."""
        self._ours.send(frame)

    def take(self, within_seconds: float = PATIENCE_SECONDS) -> bytes | None:
        """The next frame of the guest; None when none came in time."""
        self._ours.settimeout(max(within_seconds, 0.001))
        with contextlib.suppress(TimeoutError):
            return self._ours.recv(LARGEST_FRAME_BYTES)
        return None

    def close(self) -> None:
        """Hang up. A second time nothing is done."""
        if self._ending < 0:
            return
        os.eventfd_write(self._ending, 1)
        self._thread.join()
        os.close(self._ending)
        self._ending = -1
        for each in (self._socket, self._ours, self._theirs):
            each.close()

    def _call(self) -> None:
        while self._socket.connect_ex(str(self._path)):
            # Nobody tells when it can be called.
            if select.select([self._ending], [], [], CALLING_SECONDS)[0]:
                return
        ConnectedQemu(self._socket, self._theirs.fileno(), self._pairs).serve(self._ending)
        self._socket.close()

    def _listen(self) -> None:
        while self._ending not in select.select([self._socket.fileno(), self._ending], [], [])[0]:
            connection, _ = self._socket.accept()
            with connection:
                ConnectedQemu(connection, self._theirs.fileno(), self._pairs).serve(self._ending)


def _open_tap(name: str) -> int:
    tap = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    fcntl.ioctl(tap, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TAP | IFF_NO_PI))
    return tap


def main(path: str, tap: str) -> None:
    """Listen until somebody ends this process."""
    frames = _open_tap(tap)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path)
        # QEMU, which runs as somebody else, calls here once somebody listens.
        server.listen()
        Path(path).chmod(0o666)
        while True:
            connection, _ = server.accept()
            with connection:
                ConnectedQemu(connection, frames).serve(os.eventfd(0))


if __name__ == "__main__":
    main(*sys.argv[1:3])
