"""What netplan has made of a bridge, what a bridge has learned, and what the bridge helper says."""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from qemunet_tests.deadline import Deadline
from qemunet_tests.guest.bare_qemu import LaunchAttempt
from qemunet_tests.host import bridges
from qemunet_tests.host.bridges import HostBridge
from qemunet_tests.isolation.station import Station
from qemunet_tests.network.host_target import addresses, gateway_over
from qemunet_tests.network.netplan import NetplanHost

#: linux/socket.h and linux/neighbour.h.
AF_BRIDGE, NUD_NOARP, NUD_PERMANENT, NTF_LEARNED = 7, 0x40, 0x80, 0x10

STARTED = "QEMU starts"
#: QEMU's own words, which follow the helper's and are the same for all of them.
QEMUS_LINE = "bridge helper failed"


@dataclass(frozen=True)
class AddressedBridge:
    """A bridge, its host's own addresses on it with their prefix, and the default gateway reached over it."""

    bridge: HostBridge
    addresses: tuple[str, ...]
    gateway: str | None

    def __str__(self) -> str:
        ports = " ".join(port.name for port in self.bridge.ports)
        return (
            f"{self.bridge.name} {' '.join(self.addresses) or 'without address'} via {self.gateway or 'no gateway'}, "
            f"holds {ports or 'nothing'}, STP {'on' if self.bridge.spanning_tree else 'off'}, "
            f"forward delay {self.bridge.forward_delay_seconds:g} s"
        )


def made_by_netplan(host: NetplanHost, name: str) -> AddressedBridge | None:
    """The bridge of that host which is called `name`; None where there is none."""
    found = bridges.find(name, host.root)
    if found is None:
        return None
    own = tuple(map(str, addresses(host.station, name)))
    return AddressedBridge(found, own, gateway_over(host.station, name))


def bridge_of(station: Station, link: str) -> str | None:
    """The bridge a link is enslaved to."""
    found = station.link(link)
    master = found and station.netlink.get_links(found["index"])[0].get("master")
    return station.netlink.get_links(master)[0].get("ifname") if master else None


def link_says(station: Station, link: str, attribute: str) -> Any:
    """What the kernel says of a link, by pyroute2's names: `mtu` in bytes, `address` for its MAC; None without it."""
    index = station.index(link)
    return None if index is None else station.netlink.get_links(index)[0].get(attribute)


def taps(station: Station) -> set[str]:
    """The taps there are."""
    return {str(link.get("ifname")) for link in station.netlink.get_links() if link.get(("linkinfo", "kind")) == "tun"}


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


def helper_answer(attempt: LaunchAttempt) -> str:
    """STARTED, or the helper's line, or all there is where QEMU ended otherwise than for its helper's sake."""
    if attempt.started:
        return STARTED
    said = attempt.complaints
    if attempt.status == 1 and said.because and said.refusal.endswith(QEMUS_LINE):
        return plain_paths(" / ".join(said.because))
    return f"exit status {attempt.status}: {said}"


def plain_paths(said: str) -> str:
    """The same without steps up in the paths that are quoted: a helper that was moved begins at its own folder."""
    return re.sub(r"(?<=`)/[^']*/\.\./[^']*(?=')", lambda path: os.path.normpath(path[0]), said)
