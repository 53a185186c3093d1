"""What a PC's firmware does on the network, as a peer hears it: who asks for an address to boot from.

Source: RFC 4578, 2: a client that boots calls itself a PXEClient.
"""

from typing import TYPE_CHECKING, Protocol

from qemunet_tests import timeouts
from qemunet_tests.deadline import Deadline

if TYPE_CHECKING:
    # scapy reads the machine's interfaces when it is imported: not before the lab has been entered.
    from scapy.packet import Packet

    from qemunet_tests.guest.peer import Peer

#: In software a firmware and its option ROM take seconds until they ask.
FIRMWARE_SECONDS = 30.0


class FirmwaresEnd(Protocol):
    """Where its frames go to."""

    def take(self, within_seconds: float) -> bytes | None: ...


def first_asker(peer: "Peer", within_seconds: float = FIRMWARE_SECONDS) -> str | None:
    """The MAC of who asks first for an address to boot with; None where nobody does in time."""
    asked = peer.receive(_asks_to_boot, within_seconds * timeouts.crowding())
    return str(asked.src) if asked is not None else None


def _asks_to_boot(frame: "Packet") -> bool:
    from scapy.layers.dhcp import DHCP

    return DHCP in frame and b"PXEClient" in bytes(frame)


def asks_by(end: FirmwaresEnd, mac: str, within_seconds: float = FIRMWARE_SECONDS) -> bool:
    """Whether the firmware sends anything from this address to whoever takes its frames."""
    deadline = Deadline(within_seconds, "the firmware")
    while not deadline.passed:
        frame = end.take(deadline.remaining_seconds)
        if frame is not None and frame[6:12] == bytes.fromhex(mac.replace(":", "")):
            return True
    return False
