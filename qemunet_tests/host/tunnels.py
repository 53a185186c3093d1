"""Interfaces at which nobody is asked for by ARP: what is handed to a VPN's is in the hands of its program.

Sources: ip-link(8) for the flags, tun_net_xmit of the kernel's drivers/net/tun.c for one that no program holds.
"""

from qemunet_tests.host import flow_lookup, route_lookup
from qemunet_tests.host.asking import Ask, listed
from qemunet_tests.host.obstacle import Obstacle
from qemunet_tests.host.policy_rules import RoutedPacket
from qemunet_tests.host.route_lookup import PacketWay

_POINT_TO_POINT, _WITHOUT_CARRIER = "POINTOPOINT", "NO-CARRIER"


def unanswering(ask: Ask, packet: RoutedPacket, what: str) -> Obstacle | None:
    """What is said of a packet that a tunnel took and that nobody answers; None where it leaves by another link.

    `what` are the words for it and for what became of it.
    """
    out = route_lookup.way_of(ask, flow_lookup.as_sent(ask, packet))
    flags = _flags(ask, out.link) if isinstance(out, PacketWay) else []
    if not isinstance(out, PacketWay) or _POINT_TO_POINT not in flags:
        return None
    by = f"it leaves by the tunnel {out.link}, by {route_lookup.route_of(ask, packet)}"
    if _WITHOUT_CARRIER in flags:
        nobody = f"{what}: {by}, and no program takes what is sent there"
        return Obstacle(nobody, f"start the VPN that {out.link} belongs to, or end it: sudo ip link del {out.link}")
    return Obstacle(
        f"{what}: {by}, and whether its other end is there and passes that on, this host cannot tell",
        f"see whether the VPN that {out.link} belongs to is connected; start it again, or end it{_past(ask, packet)}",
    )


def _flags(ask: Ask, link: str) -> list[str]:
    shown = listed(ask, "ip", "-j", "link", "show", "dev", link)
    return [*shown[0].get("flags", [])] if shown else []


def _past(ask: Ask, packet: RoutedPacket) -> str:
    """What has a packet leave by the default route that the tunnel covers, where there is one."""
    if ":" in packet.address:
        return ""
    shown = listed(ask, "ip", "-j", "-4", "route", "show", "default")
    hop = next((each for each in shown if each.get("gateway")), None)
    past = f"sudo ip route add {packet.address} via {hop['gateway']} dev {hop['dev']}" if hop else ""
    return f"; past it, for {packet.address} alone: {past}" if past else ""
