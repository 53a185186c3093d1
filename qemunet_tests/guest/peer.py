"""A peer: scapy in the place of a guest, at the other end of a real network backend.

Where a promise is about frames and not about a kernel, no guest needs to boot. QEMU runs without a machine; two hub
ports join its backend to a datagram socket that carries raw Ethernet frames. Needs QEMU 7.2 or later.
"""

import contextlib
import os
import select
import shutil
import socket
import stat
from collections import deque
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Protocol

from scapy.layers.l2 import Ether
from scapy.packet import Packet

from qemunet_tests.deadline import Deadline
from qemunet_tests.errors import HarnessError
from qemunet_tests.qemu.command_line import QemuProcess
from qemunet_tests.qemu.launcher import OWN
from qemunet_tests.timeouts import turns

#: With the number of the backend among its QEMU's, from 1.
MAC = "52:54:00:70:65:{:02x}"
LARGEST_FRAME_BYTES = 65536
#: A QEMU that takes no frame for so long will take none.
TAKING_SECONDS = 10.0
#: How soon we look again whether there is room for a frame: nothing tells.
ROOM_SECONDS = 0.002


def joined(folder: Path, number: int = 0) -> list[str]:
    """The words that join the backend `net0`, or that of another number, to the socket in `folder` of its peer."""
    ends = (("local", folder / OWN / f"qemu{number}.sock"), ("remote", folder / f"peer{number}.sock"))
    wire = f"wire{number or ''}"
    dgram = ",".join([f"dgram,id={wire}", *(f"{end}.type=unix,{end}.path={path}" for end, path in ends)])
    return [
        "-netdev", f"hubport,id=hub-net{number},hubid={number},netdev=net{number}",
        "-netdev", dgram, "-netdev", f"hubport,id=hub-{wire},hubid={number},netdev={wire}",
    ]  # fmt: skip


class PeerSocket:
    """The end of the wire at which a peer is: takes and puts whole Ethernet frames, as bytes.

    Whoever wants to see or alter what passes puts another in its place, with the same two methods.
    """

    def __init__(self, folder: Path, number: int = 0, qemu: Callable[[], QemuProcess | None] = lambda: None) -> None:
        own = folder / f"peer{number}.sock"
        self._of_qemu = folder / OWN / f"qemu{number}.sock"
        self._qemu = qemu
        self._taken: deque[bytes] = deque()
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(own))
        # QEMU, which runs as somebody else, sends here.
        own.chmod(0o666)

    def put(self, frame: bytes) -> None:
        """Give QEMU a frame. Raises HarnessError where it takes none any more: what has become of QEMU, if known."""
        self._socket.setblocking(False)
        deadline = Deadline(TAKING_SECONDS, "QEMU to take a frame")
        while not self._putting(frame):
            # As long as nobody takes its own, it may take none.
            with contextlib.suppress(BlockingIOError):
                self._taken.append(self._socket.recv(LARGEST_FRAME_BYTES))
                continue
            deadline.check()
            select.select([self._socket], [], [], ROOM_SECONDS)

    def _putting(self, frame: bytes) -> bool:
        try:
            self._socket.sendto(frame, f"/proc/self/fd/{self._qemus_socket}")
        except BlockingIOError:
            return False
        except OSError as error:
            qemu = self._qemu()
            fate = f"; {qemu.fate_in_words()}" if qemu else ""
            raise HarnessError(f"QEMU does not take frames any more: {error.strerror}{fate}") from error
        return True

    def take(self, within_seconds: float) -> bytes | None:
        """The next frame from QEMU; None when none came in time."""
        if self._taken:
            return self._taken.popleft()
        self._socket.settimeout(max(within_seconds, 0.001))
        try:
            return self._socket.recv(LARGEST_FRAME_BYTES)
        except TimeoutError:
            return None

    @cached_property
    def _qemus_socket(self) -> int:
        """QEMU's own, held on to: what it could put there in its place, a link to a socket of root's, is not meant."""
        descriptor = os.open(self._of_qemu, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
        if not stat.S_ISSOCK(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise HarnessError("QEMU has put something else in the place of its socket")
        return descriptor

    def close(self) -> None:
        """Let go of both sockets. A second time nothing is done: the descriptor may be another's by then."""
        self._socket.close()
        if (descriptor := vars(self).pop("_qemus_socket", None)) is not None:
            os.close(descriptor)


class Wire(Protocol):
    """What a peer needs of the wire that it is at: `PeerSocket`, or something in front of it."""

    def put(self, frame: bytes) -> None: ...

    def take(self, within_seconds: float) -> bytes | None: ...

    def close(self) -> None: ...


class Peer:
    """Sends and receives Ethernet frames."""

    def __init__(self, folder: Path, number: int = 0) -> None:
        self._folder = folder
        self.mac = MAC.format(number + 1)
        self.qemu: QemuProcess | None = None
        self.wire: Wire = PeerSocket(folder, number, lambda: self.qemu)

    def send(self, frame: Packet) -> None:
        """Put a frame on the wire."""
        self.wire.put(bytes(frame))

    def receive(self, wanted: Callable[[Packet], bool], within_seconds: float = 2.0) -> Packet | None:
        """The next frame that is `wanted`; None when none came in time."""
        deadline = Deadline(within_seconds, "a frame")
        while not deadline.passed:
            taken = self.wire.take(deadline.remaining_seconds)
            if taken is not None and wanted(frame := Ether(taken)):
                return frame
        return None

    def ask(self, question: Packet, wanted: Callable[[Packet], bool], within_seconds: float = 2.0) -> Packet | None:
        """The first answer that is `wanted` to a frame, which is sent again where none comes.

        A hub drops what nobody has time to take.
        """
        for patience_seconds in turns(within_seconds):
            self.send(question)
            if answer := self.receive(wanted, patience_seconds):
                return answer
        return None

    def close(self) -> None:
        if self.qemu:
            self.qemu.quit()
        self.wire.close()
        shutil.rmtree(self._folder, ignore_errors=True)
