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


def first_speaker(end: FirmwaresEnd, within_seconds: float = FIRMWARE_SECONDS) -> str | None:
    """The MAC of whoever sends anything first to who takes its frames; None where nobody does in time."""
    deadline = Deadline(within_seconds, "the firmware")
    while not deadline.passed:
        if (frame := end.take(deadline.remaining_seconds)) is not None:
            return frame[6:12].hex(":")
    return None


def leased_to_firmware(peer: "Peer", within_seconds: float = FIRMWARE_SECONDS) -> str | None:
    """The address that somebody is leased, as a peer hears it; None where that happens to nobody in time."""
    ack = peer.receive(_leases, within_seconds * timeouts.crowding())
    return None if ack is None else str(ack["BOOTP"].yiaddr)


def _leases(frame: "Packet") -> bool:
    """RFC 2131, 3.1: an ACK ends what a client asks."""
    from scapy.layers.dhcp import DHCP

    return DHCP in frame and ("message-type", 5) in frame[DHCP].options
