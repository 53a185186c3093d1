"""Building the lab, and the proof that it is closed.

          +---------------------- lan (a switch) ----------------------+
          |                        |                                   |
enp0s25 in br0 192.168.1.2    eth0 192.168.1.10               lan0 192.168.1.254
        host                   neighbour                       router  DHCP, DNS
 (QEMU runs here)                                            wan0 203.0.113.254
                                                                       |
                                                              eth0 203.0.113.10
                                                                    outside

The LAN is 2001:db8:1::/64 as well, where the last part of an address is the same, and the outside 2001:db8:2::/64. No
router says so by IPv6: stations are told, and guests are not.
"""

import os
from collections.abc import Callable, Collection, Mapping
from functools import partial
from typing import Any

from qemunet_tests.errors import HarnessError
from qemunet_tests.host import process_table
from qemunet_tests.isolation import namespaces
from qemunet_tests.isolation.processes import Spawner
from qemunet_tests.isolation.station import Station
from qemunet_tests.network import lab_addresses, private_etc
from qemunet_tests.network.dnsmasq import DhcpServer, DnsServer
from qemunet_tests.network.echo import EchoService
from qemunet_tests.network.lab_links import (
    add_bridge,
    add_veth,
    assign_address,
    assign_ipv6_address,
    has_ipv6,
    set_master,
)
from qemunet_tests.network.services import Services, Watched, echoes, forwards

# As in linux/if.h and linux/if_arp.h.
IFF_UP = 1
ARPHRD_LOOPBACK = 772


class Lab:
    """The stations and what runs on them. The calling process is at `host` already: it entered with its run."""

    bridge = lab_addresses.BRIDGE

    def __init__(self, spawner: Spawner) -> None:
        if not namespaces.entered():
            raise HarnessError("the lab can only be built after the machine's network was left")
        self._spawner = spawner
        self.folder = namespaces.SCRATCH / "lab"
        self.folder.mkdir()
        self.host = Station("host", namespaces.current_network(), spawner)
        self.switch = self._station("switch")
        self.router = self._station("router")
        self.neighbour = self._station("neighbour")
        self.outside = self._station("outside")
        self._more_hosts: list[Station] = []
        #: Whether the stations have addresses of IPv6, too.
        self.ipv6 = has_ipv6()
        private_etc.mount_private_etc()
        self._lay_cables()
        self._assign_addresses()
        self.echo = EchoService()
        for station, address in self.addresses.items():
            self.echo.open_at(station, address, lab_addresses.ECHO_PORT)
        self.echo.open_at(self.host, "127.0.0.1", lab_addresses.LOOPBACK_PORT)
        if self.ipv6:
            self._serve_ipv6()
        self.dhcp = DhcpServer(self.router, self.folder)
        self.resolvers = {station: DnsServer(station, self.folder) for station in self.addresses}
        self.services = Services(self._watched())

    @property
    def stations(self) -> list[Station]:
        return [self.host, self.switch, self.router, self.neighbour, self.outside, *self._more_hosts]

    @property
    def addresses(self) -> dict[Station, str]:
        """Where each station is reached."""
        return {
            self.host: lab_addresses.HOST,
            self.router: lab_addresses.ROUTER,
            self.neighbour: lab_addresses.NEIGHBOUR,
            self.outside: lab_addresses.OUTSIDE,
        }

    @property
    def ipv6_addresses(self) -> dict[Station, str]:
        """The same by IPv6."""
        return {
            self.host: lab_addresses.HOST_IPV6,
            self.router: lab_addresses.ROUTER_IPV6,
            self.neighbour: lab_addresses.NEIGHBOUR_IPV6,
            self.outside: lab_addresses.OUTSIDE_IPV6,
        }

    def add_host(self, name: str, address: str, ipv6_address: str) -> Station:
        """One more host on the LAN, for what could not be undone on the first."""
        station = self._station(name)
        self._more_hosts.append(station)
        add_veth(self.switch, f"to-{name}", station, "eth0")
        set_master(self.switch, f"to-{name}", "lan")
        assign_address(station, "eth0", address, gateway=lab_addresses.ROUTER)
        if self.ipv6:
            assign_ipv6_address(station, "eth0", ipv6_address, gateway=lab_addresses.ROUTER_IPV6)
        return station

    def _watched(self) -> Watched:
        watched: dict[str, Callable[[], str | None]] = {
            "the LAN's DHCP server": self.dhcp.failing,
            "the router": partial(forwards, self.router),
        }
        for station, resolver in self.resolvers.items():
            watched[f"the DNS server at {station.name}"] = resolver.failing
        for station, address, port in self.echo.places:
            watched[f"the echo service at {address} of {station.name}"] = partial(
                self._echo_failing, station, address, port
            )
        return watched

    @staticmethod
    def _echo_failing(station: Station, address: str, port: int) -> str | None:
        return None if echoes(station, address, port) else "answers nothing"

    def close(self) -> None:
        """Stop the services; the namespaces go with the last process that is in them."""
        for server in (self.dhcp, *self.resolvers.values()):
            server.stop()
        self.echo.close()
        for station in self.stations:
            station.netlink.close()
            os.close(station.network)

    def _station(self, name: str) -> Station:
        return Station(name, namespaces.new_network(), self._spawner)

    def _lay_cables(self) -> None:
        add_bridge(self.switch, "lan")
        add_bridge(self.host, lab_addresses.BRIDGE)
        for station, link in ((self.host, lab_addresses.UPLINK), (self.router, "lan0"), (self.neighbour, "eth0")):
            add_veth(self.switch, f"to-{station.name}", station, link)
            set_master(self.switch, f"to-{station.name}", "lan")
        set_master(self.host, lab_addresses.UPLINK, lab_addresses.BRIDGE)
        add_veth(self.router, "wan0", self.outside, "eth0")

    def _assign_addresses(self) -> None:
        assign_address(self.host, lab_addresses.BRIDGE, lab_addresses.HOST, gateway=lab_addresses.ROUTER)
        assign_address(self.neighbour, "eth0", lab_addresses.NEIGHBOUR, gateway=lab_addresses.ROUTER)
        assign_address(self.router, "lan0", lab_addresses.ROUTER)
        assign_address(self.router, "wan0", lab_addresses.ROUTER_OUTSIDE)
        assign_address(self.outside, "eth0", lab_addresses.OUTSIDE, gateway=lab_addresses.ROUTER_OUTSIDE)
        self.router.set_sysctl("net.ipv4.ip_forward", "1")
        # Else what a test is told by ICMP depends on how much the tests before it were told.
        for station in (self.router, self.outside):
            station.set_sysctl("net.ipv4.icmp_ratelimit", "0")
        if self.ipv6:
            self._assign_ipv6_addresses()

    def _assign_ipv6_addresses(self) -> None:
        links = {self.host: lab_addresses.BRIDGE, self.router: "lan0", self.neighbour: "eth0", self.outside: "eth0"}
        assign_ipv6_address(self.router, "wan0", lab_addresses.ROUTER_OUTSIDE_IPV6)
        for station, address in self.ipv6_addresses.items():
            beyond = {self.router: None, self.outside: lab_addresses.ROUTER_OUTSIDE_IPV6}
            assign_ipv6_address(station, links[station], address, beyond.get(station, lab_addresses.ROUTER_IPV6))
        self.router.set_sysctl("net.ipv6.conf.all.forwarding", "1")
        for station in (self.router, self.outside):
            station.set_sysctl("net.ipv6.icmp.ratelimit", "0")

    def _serve_ipv6(self) -> None:
        for station, address in self.ipv6_addresses.items():
            self.echo.open_at(station, address, lab_addresses.ECHO_PORT)
        self.echo.open_at(self.host, "::1", lab_addresses.LOOPBACK_PORT)

    def leaks(self) -> list[str]:
        """Links that could be a way out, and processes that are out: empty, or the lab leaks."""
        return [leak for station in self.stations for leak in self._leaks_at(station)] + [
            f"process {pid} ({process_table.name(pid)}) is in the machine's own network namespace"
            for pid in self._spawner.reaper.keeps()
            if self._is_outside(pid)
        ]

    def _leaks_at(self, station: Station) -> list[str]:
        ours = {self._number_of(station, other) for other in self.stations} - {None}
        found = [_leak(link, ours) for link in station.netlink.get_links()]
        return [f"{station.name}: {leak}" for leak in found if leak]

    @staticmethod
    def _number_of(station: Station, other: Station) -> int | None:
        number: int = station.netlink.get_netnsid(fd=other.network)["nsid"]
        return None if number < 0 else number

    @staticmethod
    def _is_outside(pid: int) -> bool:
        try:
            return namespaces.network_namespace(pid) == namespaces.machine_network()
        except FileNotFoundError:
            # It ended meanwhile.
            return False


def _leak(link: Mapping[Any, Any], ours: Collection[int | None]) -> str | None:
    """Why a link, as pyroute2 describes it, could be a way out of the lab.

    One that leads to another namespace carries that namespace's number (IFLA_LINK_NETNSID), which must be one of
    `ours`. A device of the machine has no kind. The tunnels that some kernels put into every new namespace are down.
    """
    name, kind = link.get("ifname"), link.get(("linkinfo", "kind"))
    if kind == "veth":
        return None if link.get("link_netnsid") in ours else f"the other end of {name} is outside the lab"
    if kind is None:
        return None if link.get("ifi_type") == ARPHRD_LOOPBACK else f"{name} is a device of the machine"
    harmless = kind in ("bridge", "tun") or not link.get("flags", 0) & IFF_UP
    return None if harmless else f"{name} is of kind {kind}"
