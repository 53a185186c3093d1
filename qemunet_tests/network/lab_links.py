"""Bridges, cables and addresses of stations, by netlink."""

import secrets
import socket
from pathlib import Path

from qemunet_tests.isolation.station import Station
from qemunet_tests.network import lab_addresses


def add_bridge(station: Station, name: str, forward_delay_seconds: int | None = None) -> None:
    """Make a bridge: one that forwards at once, or with `forward_delay_seconds` one that runs spanning tree."""
    station.netlink.link(
        "add",
        ifname=name,
        kind="bridge",
        br_stp_state=int(forward_delay_seconds is not None),
        # The kernel counts in hundredths.
        br_forward_delay=100 * (forward_delay_seconds or 0),
    )
    station.bring_up(name)


def add_veth(near: Station, near_end: str, far: Station, far_end: str) -> None:
    """Connect two stations with a cable, plugged in at both ends."""
    peer = {"ifname": far_end, "net_ns_fd": far.network, "address": _card_mac()}
    near.netlink.link("add", ifname=near_end, kind="veth", address=_card_mac(), peer=peer)
    near.bring_up(near_end)
    far.bring_up(far_end)


def _card_mac() -> str:
    """A MAC address of nobody else's that begins as no tap's does.

    Of the kernel's choice one in 64 begins with fe as well: then a bridge whose only card has it changes its own with
    every guest.
    """
    return f"02:{secrets.token_bytes(5).hex(':')}"


def set_master(station: Station, link: str, bridge: str) -> None:
    """Make a link a port of a bridge."""
    station.netlink.link("set", index=station.index(link), master=station.index(bridge))


def assign_address(station: Station, link: str, address: str, gateway: str | None = None) -> None:
    """Give a link an address, and the station a default route."""
    station.netlink.addr("add", index=station.index(link), address=address, prefixlen=lab_addresses.LAN_PREFIX)
    if gateway:
        station.netlink.route("add", dst="default", gateway=gateway)


def has_ipv6() -> bool:
    """Whether this kernel knows IPv6 at all: it may have been started with ipv6.disable=1."""
    return Path("/proc/sys/net/ipv6").exists()


def assign_ipv6_address(station: Station, link: str, address: str, gateway: str | None = None) -> None:
    """The same by IPv6. That nobody else has the address is known, so it is used at once (RFC 4862, 5.4)."""
    without_detection = 0x02  # IFA_F_NODAD of linux/if_addr.h
    station.netlink.addr(
        "add",
        index=station.index(link),
        address=address,
        prefixlen=lab_addresses.LAN_PREFIX_IPV6,
        flags=without_detection,
    )
    if gateway:
        station.netlink.route("add", family=socket.AF_INET6, dst="default", gateway=gateway)
