"""A peer that sends as fast as its QEMU takes frames, while something else is seen."""

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    # scapy reads the machine's interfaces when it is imported: not before the lab has been entered.
    from qemunet_tests.guest.peer import Peer


@contextlib.contextmanager
def flooding(peer: "Peer", frame: bytes) -> Iterator[Callable[[], int]]:
    """From now on this frame is sent again and again, until the body is left; what it gets tells how often it was."""
    sent, over = [0], threading.Event()

    def send() -> None:
        while not over.is_set():
            peer.wire.put(frame)
            sent[0] += 1

    sender = threading.Thread(target=send, daemon=True)
    sender.start()
    try:
        yield lambda: sent[0]
    finally:
        over.set()
        sender.join()
