"""What this host would do with packets of QEMU and its guests, as far as can be known without sending one."""

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from ipaddress import IPv4Interface
from pathlib import Path
from typing import Any

from qemunet_tests.host import (
    bpf_programs,
    dhcp_servers,
    flow_lookup,
    ipsec,
    localhost,
    nft_ruleset,
    route_lookup,
    routes,
    socket_table,
)
from qemunet_tests.host.asking import ask_here, listed
from qemunet_tests.host.bpf_programs import KernelProgram
from qemunet_tests.host.bridges import HostBridge
from qemunet_tests.host.credentials import CAP_NET_ADMIN, Credentials
from qemunet_tests.host.files import MACHINE, read_int, read_text
from qemunet_tests.host.nft_listing import NftListing
from qemunet_tests.host.nft_ruleset import Ruleset
from qemunet_tests.host.obstacle import Obstacle
from qemunet_tests.host.policy_rules import RoutedPacket
from qemunet_tests.host.route_lookup import PacketWay

#: An address that only a default route leads to; it is looked up and sent nothing. One of a root server (IANA's hints).
OUTSIDE = "198.41.0.4"
#: RFC 1035, 4.2.1.
DNS_PORT = 53


@dataclass(frozen=True)
class PacketFacts:
    """`user` is whom guests belong to. `ways` are those of his packets to the resolver, the gateway and beyond.

    `addresses` are those of IPv4 by interface. What is None was not told: `ruleset`, `policies`, and `programs`, by
    where they are attached. `kinds` are of interfaces that are no bridges, as ip(8) calls them. `not_passed_on` is what
    keeps a bridge's guests from the world outside where this host would have to route for them, by bridge. `idle_hops`
    are next hops that get a part of what is sent by `ways`, and that nothing gets to.
    """

    user: int
    ways: Mapping[str, PacketWay | Obstacle]
    not_passed_on: Mapping[str, Obstacle] = field(default_factory=dict)
    addresses: Mapping[str, tuple[IPv4Interface, ...]] = field(default_factory=dict)
    ruleset: Ruleset | None = None
    policies: tuple[ipsec.IpsecPolicy, ...] | None = None
    keys_on_demand: bool = False
    programs: Mapping[str, tuple[KernelProgram, ...]] | None = None
    dhcp: tuple[dhcp_servers.DhcpListener, ...] = ()
    localhost: tuple[str, ...] = ()
    kinds: Mapping[str, str] = field(default_factory=dict)
    routes_ipv6: bool = False
    idle_hops: tuple[Obstacle, ...] = ()


def gather(
    ourselves: Credentials,
    user: int,
    resolver: str | None,
    gateways: tuple[str, ...],
    bridges: tuple[HostBridge, ...],
    packet_filter: NftListing | None,
) -> PacketFacts:
    """Read it all. What only root may read is asked for where we may, but for what nft lists."""
    privileged = ourselves.may(CAP_NET_ADMIN)
    asked = dict.fromkeys((*filter(None, (resolver,)), *gateways, *((OUTSIDE,) if gateways else ())))
    shown = listed(ask_here, "ip", "-d", "-j", "addr", "show")
    own = {link["ifname"]: tuple(_addresses(link)) for link in shown}
    return PacketFacts(
        user=user,
        # Where ip(8) is not there it shows not even lo, and no way is known.
        ways={address: _kept_here(address, user) or _way(address, user) for address in asked} if shown else {},
        not_passed_on=dict(_not_passed_on(bridges, own)),
        addresses=own,
        ruleset=_ruleset(packet_filter) if packet_filter else None,
        policies=ipsec.read(ask_here) if privileged else None,
        keys_on_demand=ipsec.made_on_demand(),
        programs=_programs(bridges) if privileged else None,
        dhcp=dhcp_servers.listeners(ask_here),
        localhost=localhost.addresses(),
        kinds={link["ifname"]: link.get("linkinfo", {}).get("info_kind", "card") for link in shown},
        routes_ipv6=bool(default_routes_by_ipv6()),
        idle_hops=tuple(_idle_hops(asked, user)),
    )


def default_routes_by_ipv6() -> list[dict[str, Any]]:
    """As ip(8) has them."""
    return listed(ask_here, "ip", "-6", "-j", "route", "show", "default")


def _ruleset(listed: NftListing) -> Ruleset:
    return nft_ruleset.parse(listed.words, listed.in_json, listed.queues)


def _idle_hops(addresses: Iterable[str], user: int) -> Iterator[Obstacle]:
    for address in addresses:
        if found := flow_lookup.without_carrier(ask_here, RoutedPacket(address, user)):
            yield found


def _kept_here(address: str, user: int) -> Obstacle | None:
    """A route that has this host take for its own what is for its gateway or resolver, where no resolver listens."""
    found = route_lookup.taken_for_own(ask_here, address, user) if address != OUTSIDE else None
    return None if found and socket_table.is_answered("udp", address, DNS_PORT) else found


def _not_passed_on(
    bridges: tuple[HostBridge, ...], own: Mapping[str, tuple[IPv4Interface, ...]]
) -> Iterator[tuple[str, Obstacle]]:
    """What this host does not pass on of what a bridge's guests send outside, where there is a way for itself."""
    if isinstance(route_lookup.way(ask_here, OUTSIDE, os.geteuid()), str):
        return
    for name, address in ((bridge.name, each) for bridge in bridges for each in own.get(bridge.name, ())):
        guest = str(address.network.broadcast_address - 1)
        passed = RoutedPacket(OUTSIDE, source=guest, coming_by=name)
        # Another way than this host's own may be meant, as that of a VPN for guests alone.
        found = routes.not_forwarding(routes.sysctl_here, name) or flow_lookup.refused_on_its_way(ask_here, passed)
        if found:
            yield name, found


def _way(address: str, user: int) -> PacketWay | Obstacle:
    trouble = route_lookup.dead_end(ask_here, address, user) or route_lookup.astray(
        ask_here, address, user, or_meant=False
    )
    found = trouble or route_lookup.way(ask_here, address, user)
    return Obstacle(found) if isinstance(found, str) else found


def _addresses(link: dict[str, Any]) -> Iterator[IPv4Interface]:
    for each in link.get("addr_info", []):
        if each["family"] == "inet":
            yield IPv4Interface(f"{each['local']}/{each['prefixlen']}")


def _programs(bridges: tuple[HostBridge, ...]) -> dict[str, tuple[KernelProgram, ...]] | None:
    """By link and by our own control group, which QEMU is born into; None where the kernel does not tell."""
    found: dict[str, tuple[KernelProgram, ...]] = {}
    links = [name for bridge in bridges for name in (bridge.name, *(port.name for port in bridge.uplinks))]
    try:
        with suppress(FileNotFoundError):
            found["this control group"] = bpf_programs.on_group(str(_own_group()))
        for link in links:
            index = read_int(MACHINE, f"/sys/class/net/{link}/ifindex")
            found[link] = bpf_programs.on_link(index) if index else ()
    except OSError:
        return None
    return found


def _own_group() -> Path:
    """The folder of our control group in the one hierarchy, which a machine with the older ones mounts beside them."""
    lines = (read_text(MACHINE, "/proc/self/cgroup") or "").splitlines()
    own = next((line.removeprefix("0::/") for line in lines if line.startswith("0::/")), "")
    mounts = [line.split() for line in (read_text(MACHINE, "/proc/self/mounts") or "").splitlines()]
    root = next((words[1] for words in mounts if words[2] == "cgroup2"), "/sys/fs/cgroup")
    return Path(root, own)
