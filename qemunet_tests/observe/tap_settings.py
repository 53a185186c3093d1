"""What the kernel says of a tap, and whether it has it, by netlink."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from qemunet_tests.deadline import Deadline
from qemunet_tests.errors import HarnessError

if TYPE_CHECKING:
    from qemunet_tests.isolation.station import Station

#: The kernel takes a tap away that nobody has open any more within so long.
GOING_SECONDS = 15.0
#: linux/if_link.h.
VNET_HDR, QUEUES = "IFLA_TUN_VNET_HDR", ("IFLA_TUN_NUM_QUEUES", "IFLA_TUN_NUM_DISABLED_QUEUES")


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


def goes(station: "Station", name: str, within_seconds: float = GOING_SECONDS) -> bool:
    """Whether a tap is gone, or is soon: the kernel may still be about it when whoever had it open has ended."""
    return Deadline(within_seconds, "a tap to go").sees(lambda: station.index(name) is None)
