"""What a PC's firmware does on the network, as a peer hears it: who asks for an address to boot from.

Source: RFC 4578, 2: a client that boots calls itself a PXEClient.
"""

from typing import TYPE_CHECKING

from qemunet_tests import timeouts

if TYPE_CHECKING:
    # scapy reads the machine's interfaces when it is imported: not before the lab has been entered.
    from scapy.packet import Packet

    from qemunet_tests.guest.peer import Peer

#: In software a firmware and its option ROM take seconds until they ask.
FIRMWARE_SECONDS = 30.0


def first_asker(peer: "Peer", within_seconds: float = FIRMWARE_SECONDS) -> str | None:
    """The MAC of who asks first for an address to boot with; None where nobody does in time."""
    asked = peer.receive(_asks_to_boot, within_seconds * timeouts.crowding())
    return str(asked.src) if asked is not None else None


def _asks_to_boot(frame: "Packet") -> bool:
    from scapy.layers.dhcp import DHCP

    return DHCP in frame and b"PXEClient" in bytes(frame)
