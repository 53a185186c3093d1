"""What becomes of a caller that sends a frame larger than QEMU takes, and of the one after it."""

from typing import TYPE_CHECKING

from qemunet_tests.observe.carried_frames import exchanged
from qemunet_tests.observe.frame_sockets import called

if TYPE_CHECKING:
    # scapy reads the machine's interfaces when it is imported: not before the lab has been entered.
    from qemunet_tests.guest.peer import Peer
    from qemunet_tests.isolation.station import Station

#: More than any frame that QEMU takes: NET_BUFSIZE of net/net.h, 69632.
TOO_MANY_BYTES = 80000
SAID_BYTES = 1 << 20


def after_a_frame_too_large(peer: "Peer", station: "Station", port: int) -> str:
    """Which ways frames pass before, whether QEMU ends the connection, and which ways they pass for the next caller."""
    with called(station, port) as end:
        before = exchanged(peer, end)
        end.put_bytes(SAID_BYTES.to_bytes(4, "big") + bytes(TOO_MANY_BYTES))
        ended = end.ends()
    with called(station, port) as end:
        after = exchanged(peer, end)
    return f"before: {before}; {'ended' if ended else 'not ended'}; the next: {after}"
