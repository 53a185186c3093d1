"""The host's side of a tap: what the kernel says of it, and a packet socket on its interface, by packet(7)."""

import contextlib
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from qemunet_tests.deadline import Deadline
from qemunet_tests.errors import HarnessError

if TYPE_CHECKING:
    from qemunet_tests.isolation.station import Station

ETH_P_ALL = 3
#: linux/if_link.h: what the kernel says of a tap.
VNET_HDR, QUEUES = "IFLA_TUN_VNET_HDR", ("IFLA_TUN_NUM_QUEUES", "IFLA_TUN_NUM_DISABLED_QUEUES")
PATIENCE_SECONDS = 3.0
LARGEST_FRAME_BYTES = 1 << 16


@dataclass(frozen=True)
class TapSettings:
    """Whether frames have a virtio header in front, and how many queues somebody has open, in use or not yet."""

    vnet_hdr: bool
    queues: int


def settings_of(station: "Station", name: str) -> TapSettings:
    """What the kernel says of a tap. Raises HarnessError where there is none."""
    index = station.index(name)
    found = station.netlink.get_links(index)[0].get_nested("IFLA_LINKINFO", "IFLA_INFO_DATA") if index else None
    if found is None:
        raise HarnessError(f"the kernel says nothing of a tap {name}")
    # Of one that cannot have several they are not counted.
    queues = [found.get_attr(each) for each in QUEUES]
    return TapSettings(bool(found.get_attr(VNET_HDR)), sum(int(each) for each in queues if each is not None) or 1)


class TapSocket:
    """Takes what QEMU writes to a tap, and puts frames there for QEMU to read."""

    def __init__(self, packets: socket.socket) -> None:
        self._packets = packets

    def put(self, frame: bytes) -> None:
        """Send a frame. Raises OSError, ENETDOWN where the tap is down and EMSGSIZE where its MTU is less."""
        self._packets.send(frame)

    def take(self, within_seconds: float = PATIENCE_SECONDS) -> bytes | None:
        """The next frame from QEMU; None when none came in time."""
        deadline = Deadline(within_seconds, "a frame from the tap")
        while not deadline.passed:
            self._packets.settimeout(max(deadline.remaining_seconds, 0.001))
            try:
                frame, (_, _, kind, *_) = self._packets.recvfrom(LARGEST_FRAME_BYTES)
            except TimeoutError:
                return None
            if kind != socket.PACKET_OUTGOING:
                return frame
        return None


@contextlib.contextmanager
def at_tap(station: "Station", name: str) -> Iterator[TapSocket]:
    """The kernel's side of a tap, which must be up for anything to pass."""
    with station.entered():
        packets = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
    with packets:
        packets.bind((name, ETH_P_ALL))
        yield TapSocket(packets)
