"""Bridges of a station, as its kernel describes them over netlink, and what the bridge helper says."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from qemunet_tests.deadline import Deadline
from qemunet_tests.guest.bare_qemu import LaunchAttempt
from qemunet_tests.isolation.station import Station

#: linux/socket.h and linux/neighbour.h.
AF_BRIDGE, NUD_NOARP, NUD_PERMANENT, NTF_LEARNED = 7, 0x40, 0x80, 0x10

STARTED = "QEMU starts"
#: QEMU's own words, which follow the helper's and are the same for all of them.
QEMUS_LINE = "bridge helper failed"


@dataclass(frozen=True)
class StationBridge:
    """A bridge, the host's own addresses on it with their prefix, and the default gateway reached over it.

    By netlink, because only the lab's host has a /sys that shows its links to us.
    """

    name: str
    addresses: tuple[str, ...]
    gateway: str | None
    ports: tuple[str, ...]
    spanning_tree: bool
    forward_delay_seconds: float

    def __str__(self) -> str:
        return (
            f"{self.name} {' '.join(self.addresses) or 'without address'} via {self.gateway or 'no gateway'}, "
            f"holds {' '.join(self.ports) or 'nothing'}, STP {'on' if self.spanning_tree else 'off'}, "
            f"forward delay {self.forward_delay_seconds:g} s"
        )


def bridge(station: Station, name: str) -> StationBridge | None:
    """The bridge called `name`; None where there is none."""
    index = station.index(name)
    if index is None:
        return None
    link = station.netlink.get_links(index)[0]

    def setting(attribute: str) -> int:
        return int(link.get_nested("IFLA_LINKINFO", "IFLA_INFO_DATA", attribute) or 0)

    return StationBridge(
        name=name,
        addresses=_addresses(station, index),
        gateway=_gateway(station, index),
        ports=tuple(port.get("ifname") for port in station.netlink.get_links() if port.get("master") == index),
        spanning_tree=setting("IFLA_BR_STP_STATE") != 0,
        forward_delay_seconds=setting("IFLA_BR_FORWARD_DELAY") / 100,
    )


def bridge_of(station: Station, link: str) -> str | None:
    """The bridge a link is enslaved to."""
    found = station.link(link)
    master = found and station.netlink.get_links(found["index"])[0].get("master")
    return station.netlink.get_links(master)[0].get("ifname") if master else None


def ports_of_mac(station: Station, name: str, mac: str, within_seconds: float = 1.0) -> set[str]:
    """The ports of a bridge behind which frames of an address come in. An address that two have moves to and fro.

    Another bridge of the host that leads to the same LAN hears the guest there, by its uplink, and is right.
    """
    found: set[str] = set()

    def several() -> bool:
        for entry, port in _entries(station, name, mac):
            if not entry["state"] & NUD_PERMANENT:
                found.add(port)
        return len(found) > 1

    Deadline(within_seconds, "an address to move").sees(several, interval_seconds=0.1)
    return found


def places_of_mac(station: Station, name: str, mac: str) -> list[tuple[str, bool]]:
    """The ports behind which a bridge believes an address to be, and whether that was written by hand."""
    return [
        (port, not entry.get("flags", 0) & NTF_LEARNED and bool(entry["state"] & (NUD_NOARP | NUD_PERMANENT)))
        for entry, port in _entries(station, name, mac)
    ]


def _entries(station: Station, name: str, mac: str) -> Iterator[tuple[Any, str]]:
    """What a bridge has written down about an address, each with the port."""
    for entry in station.netlink.get_neighbours(family=AF_BRIDGE):
        if entry.get("lladdr") == mac:
            port = station.netlink.get_links(entry["ifindex"])[0]
            if port.get("master") == station.index(name):
                yield entry, str(port.get("ifname"))


def _addresses(station: Station, index: int) -> tuple[str, ...]:
    found = station.netlink.get_addr(index=index, family=2)
    return tuple(f"{address.get('address')}/{address['prefixlen']}" for address in found)


def _gateway(station: Station, index: int) -> str | None:
    for route in station.netlink.get_default_routes(family=2):
        if route.get("oif") == index:
            gateway: str | None = route.get("gateway")
            return gateway
    return None


def helper_answer(attempt: LaunchAttempt) -> str:
    """STARTED, or the helper's line, or all there is where QEMU ended otherwise than for its helper's sake."""
    if attempt.started:
        return STARTED
    said = attempt.complaints
    if attempt.status == 1 and said.because and said.refusal.endswith(QEMUS_LINE):
        return " / ".join(said.because)
    return f"exit status {attempt.status}: {said}"
