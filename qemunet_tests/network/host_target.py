"""The real host as a target: what may be expected of it is what it says of itself, or what its operator says of it.

Nothing is changed, and nobody is spoken to whom the operator has not named: the bridge by `--bridge`, a machine of
the LAN by `--peer`. `note` is told where every expected value comes from.
"""

import socket
from collections.abc import Callable
from functools import cached_property
from ipaddress import IPv4Interface, IPv6Interface, ip_address, ip_interface
from typing import Any

from pyroute2.netlink.exceptions import NetlinkError

from qemunet_tests.errors import HarnessError, Unavailable
from qemunet_tests.host import resolver
from qemunet_tests.isolation.station import Station
from qemunet_tests.network.described_network import default_route, uplink
from qemunet_tests.network.dnsmasq import ServerLease
from qemunet_tests.network.echo import EchoService
from qemunet_tests.network.expect_file import Expectation, of_version
from qemunet_tests.network.target import Endpoint, Lan
from qemunet_tests.qemu.setuid_helper import IN_THE_LAB

#: RFC 6761, 6.3: a resolver answers for it by itself and asks nobody.
LOCAL_NAME = "localhost"
NAME_A_PEER = "name a service on another machine that echoes: --peer ADDR:PORT"
#: Documentation, RFC 5737. A UDP socket that is connected to it sends nothing, and has a source address.
ANYWHERE = ("192.0.2.1", 9)
#: linux/if.h.
IFF_POINTOPOINT = 0x10


class HostTarget:
    """This host. `bridge` and `peer` are None where the operator named none."""

    kind = "host"

    def __init__(
        self,
        host: Station,
        bridge: str | None,
        peer: Endpoint | None,
        expected: Expectation,
        note: Callable[[str], None],
    ) -> None:
        self.host = host
        self._bridge = bridge
        self._peer = peer
        self._expected = expected
        self._note = note
        self._echo = EchoService()

    def close(self) -> None:
        self._echo.close()
        self.host.netlink.close()

    def describe(self) -> dict[str, str | None]:
        """For results.json and the drawing in its page: what of this host's network is tried.

        `link` and `router` are those of the default route, `bridge` is the one that was named, `uplink` its first port
        that is no guest's, `address` the host's own on it, else on `link`. The peer is a `neighbour`, or `outside`.
        """
        link, router = default_route(self.host)
        named = self._bridge or link
        own = addresses(self.host, named) if named else []
        peer = str(self._peer) if self._peer else None
        return {
            "link": link,
            "router": router,
            "bridge": self._bridge,
            "uplink": uplink(self.host, self._bridge) if self._bridge else None,
            "address": str(own[0].ip) if own else None,
            "neighbour": peer if self._peer_is_on_the_lan else None,
            "outside": None if self._peer_is_on_the_lan else peer,
        }

    @property
    def bridge(self) -> str:
        if self._bridge is None:
            raise Unavailable("no bridge of this host was named, and frames go onto none that was not", "--bridge NAME")
        return self._bridge

    @cached_property
    def address(self) -> str:
        if self._bridge and (own := addresses(self.host, self._bridge)):
            return self._known("this host's address", str(own[0].ip), f"it is on {self._bridge}")
        return self._known("this host's address", _source_address(self.host), "it is what its default route uses")

    @cached_property
    def lan(self) -> Lan:
        return HostLan(self.host, self.bridge, self._expected, self._known)

    @property
    def neighbour(self) -> Station:
        raise Unavailable("this needs another machine of the LAN at its command", IN_THE_LAB)

    @property
    def caller(self) -> Station:
        if self._bridge and not addresses(self.host, self._bridge):
            raise Unavailable(f"this host has no address on {self._bridge} to call the guest from", IN_THE_LAB)
        return self.host

    @property
    def caller_address(self) -> str:
        return self.address if self.caller else ""

    @property
    def neighbour_echo(self) -> Endpoint:
        if self.far_echo and not self._peer_is_on_the_lan:
            raise Unavailable(f"the peer {self._peer} is beyond a router and not on the LAN", NAME_A_PEER)
        return self.far_echo

    @property
    def outside_echo(self) -> Endpoint:
        if self.far_echo and self._peer_is_on_the_lan:
            raise Unavailable(f"the peer {self._peer} is on the LAN and not beyond its router", NAME_A_PEER)
        return self.far_echo

    @cached_property
    def far_echo(self) -> Endpoint:
        if self._peer is None:
            raise Unavailable("nobody was named whom a guest could talk to", NAME_A_PEER)
        return Endpoint(self._peer.address, self._peer.port, ("TCP", *_udp_if_answered(self.host, self._peer)))

    @property
    def way_out(self) -> Endpoint:
        return self.far_echo if self._peer else Endpoint("10.0.2.2", self.loopback_echo.port)

    @cached_property
    def loopback_echo(self) -> Endpoint:
        """Opened by the run itself, on the loopback alone."""
        port = _free_port(self.host)
        self._echo.open_at(self.host, "127.0.0.1", port)
        return Endpoint("127.0.0.1", port)

    @property
    def names(self) -> tuple[str, ...]:
        return (LOCAL_NAME, *self._expected.names)

    @property
    def expected_names(self) -> tuple[str, ...]:
        return self._expected.names

    @property
    def hops(self) -> tuple[str, ...]:
        raise Unavailable("which routers lie on the way is not known here", IN_THE_LAB)

    def leases_known_to_server(self) -> list[ServerLease]:
        raise Unavailable("what the LAN's DHCP server knows it tells its own operator only", "look at its leases")

    @cached_property
    def _peer_is_on_the_lan(self) -> bool:
        if self._peer is None:
            return False
        peer = ip_address(self._peer.address)
        if any(peer in each.network for each in addresses(self.host, version=peer.version)):
            return True
        try:
            (route,) = self.host.netlink.route("get", dst=self._peer.address)
        except (NetlinkError, OSError, ValueError):  # a fault of this host, which is what claims about it will find
            return False
        # What a VPN carries goes to another network by no router that the route would name.
        return route.get("gateway") is None and not _is_tunnel(self.host, route.get("oif"))

    def _known(self, what: str, value: str, source: str) -> str:
        self._note(f"expected: {what} {value} ({source})")
        return value


class HostLan:
    """The LAN behind a bridge of this host."""

    def __init__(
        self, host: Station, bridge: str, expected: Expectation, known: Callable[[str, str, str], str]
    ) -> None:
        self._host = host
        self._bridge = bridge
        self._expected = expected
        self._known = known

    @cached_property
    def pool(self) -> str:
        asked, own = self._expected.range_of(4), addresses(self._host, self._bridge)
        if asked:
            return self._known("leases from", str(asked), self._expected.source)
        if own:
            return self._known("leases in", str(own[0].network), f"this host's own network on {self._bridge}")
        return self._known("leases in", "any network", f"this host has no address on {self._bridge}, see --expect")

    def leases(self, address: str) -> bool:
        given = ip_address(address)
        asked, own = self._expected.range_of(given.version), addresses(self._host, self._bridge, given.version)
        if asked:
            return address in asked
        if own:
            return given in own[0].network and given not in [each.ip for each in own]
        return not given.is_link_local

    @cached_property
    def server(self) -> str:
        for server in of_version(self._expected.servers, 4):
            return self._known("the DHCP server", server, self._expected.source)
        raise Unavailable("which DHCP server the LAN should have is not known", 'say it: --expect FILE, server = "…"')

    @cached_property
    def gateway(self) -> str:
        for gateway in of_version(self._expected.gateways, 4):
            return self._known("the gateway", gateway, self._expected.source)
        if own := gateway_over(self._host, self._bridge):
            return self._known("the gateway", own, f"this host's default route over {self._bridge}")
        raise Unavailable(
            f"this host has no default route over {self._bridge} that a guest's could be compared with",
            'say it: --expect FILE, gateway = "…"',
        )

    @cached_property
    def resolver(self) -> str:
        if expected := of_version(self._expected.dns, 4):
            return self._known("the resolver", " ".join(expected), self._expected.source)
        own = addresses(self._host, self._bridge)
        used = [each for each in resolver.read().ipv4 if own and ip_address(each) in own[0].network]
        if used:
            return self._known("the resolver", used[0], "it is the one in this host's /etc/resolv.conf on that LAN")
        raise Unavailable(
            "this host's resolv.conf names no resolver of that LAN that a guest's could be compared with",
            'say it: --expect FILE, dns = "…"',
        )


def addresses(host: Station, link: str | None = None, version: int = 4) -> list[IPv4Interface] | list[IPv6Interface]:
    """The addresses of a link, or of all links, with their networks.

    Those of the loopback are nobody else's, and those of IPv6 that are of one link alone say nothing of a network.
    """
    index = host.index(link) if link else None
    if link and index is None:
        return []
    family = socket.AF_INET6 if version == 6 else socket.AF_INET
    found: list[Any] = host.netlink.get_addr(index=index, family=family)
    given: list[Any] = [ip_interface(f"{each.get('address')}/{each['prefixlen']}") for each in found]
    return [each for each in given if not (each.is_loopback and not link) and not (version == 6 and each.is_link_local)]


def _is_tunnel(host: Station, index: int) -> bool:
    return any(link["flags"] & IFF_POINTOPOINT for link in host.netlink.get_links(index))


def own_addresses(host: Station) -> dict[str, str]:
    """The IPv4 addresses that a station answers for itself, each with its link."""
    found = host.netlink.get_addr(family=socket.AF_INET)
    return {each.get("local") or each.get("address"): each.get("label") or "" for each in found}


def gateway_over(host: Station, link: str) -> str | None:
    """The default gateway of IPv4 that is reached over a link; None where none is, or one route has two there."""
    index, routes = host.index(link), host.netlink.get_default_routes(family=socket.AF_INET)
    for route in routes:
        if parts := route.get("multipath"):
            found = [dict(each["attrs"]).get("RTA_GATEWAY") for each in parts if each["oif"] == index]
            found = found if len(found) == 1 else []
        else:
            found = [route.get("gateway")] if route.get("oif") == index else []
        if gateway := next(filter(None, found), None):
            return str(gateway)
    return None


def _source_address(host: Station) -> str:
    with host.open_socket(socket.SOCK_DGRAM) as asking:
        try:
            asking.connect(ANYWHERE)
        except OSError:
            raise Unavailable(
                "this host has no default route, and so no address of its own on a LAN", "give it one"
            ) from None
        address: str = asking.getsockname()[0]
        return address


def _udp_if_answered(host: Station, peer: Endpoint, wait_seconds: float = 1.0) -> tuple[str, ...]:
    with host.open_socket(socket.SOCK_DGRAM, peer.address) as asking:
        asking.settimeout(wait_seconds)
        try:
            asking.connect((peer.address, peer.port))
            asking.send(b"qemunet")
            return ("UDP",) if asking.recv(64) == b"qemunet" else ()
        except OSError:
            return ()


def _free_port(host: Station) -> int:
    """A port of the loopback that is free for TCP and UDP alike."""
    for _ in range(20):
        with host.open_socket() as stream, host.open_socket(socket.SOCK_DGRAM) as datagram:
            stream.bind(("127.0.0.1", 0))
            port: int = stream.getsockname()[1]
            try:
                datagram.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise HarnessError("this host has no free port on its loopback")
