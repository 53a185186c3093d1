"""What lies in a guest's path on the host and bears on throughput: asked anew for every row, because it can change."""

from pathlib import Path

from qemunet_tests.isolation.station import Station
from qemunet_tests.network import lab_addresses
from qemunet_tests.throughput.recording_shapes import OnPath


def of_tap(station: Station, tap: str) -> OnPath:
    """MTU, queue discipline and flags of a tap, and the MTU of the bridge it is in."""
    return OnPath(
        tap_mtu=_mtu(station, tap),
        bridge_mtu=_mtu(station, lab_addresses.BRIDGE),
        qdisc=_qdiscs(station, tap),
        tun_flags=Path(f"/sys/class/net/{tap}/tun_flags").read_text().strip(),
    )


def _qdiscs(station: Station, link: str) -> str:
    found = station.netlink.get_qdiscs(station.index(link))
    return " ".join(str(each.get("kind")) for each in found)


def _mtu(station: Station, link: str) -> str:
    return str(station.netlink.get_links(station.index(link))[0].get("mtu"))
