"""What is judged, and what is expected of it: by the lab's own plan, or by what a real host says of itself."""

from dataclasses import dataclass
from ipaddress import ip_address
from typing import Protocol

from qemunet_tests.errors import Unavailable
from qemunet_tests.isolation.station import Station
from qemunet_tests.network import Lab, lab_addresses
from qemunet_tests.network.dnsmasq import ServerLease
from qemunet_tests.network.expect_file import AddressRange


@dataclass(frozen=True)
class Endpoint:
    """A service that sends back what it gets, by these protocols, at an address of either family."""

    address: str
    port: int
    protocols: tuple[str, ...] = ("TCP", "UDP")

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"

    @property
    def version(self) -> int:
        """Of the Internet Protocol: 4 or 6."""
        return ip_address(self.address).version

    @property
    def host(self) -> str:
        """The address as it is written before a port (RFC 3986, 3.2.2)."""
        return f"[{self.address}]" if self.version == 6 else self.address

    def called_by(self, words: str, **values: object) -> str:
        """The words of a tool that is given this service and other values."""
        return words.format(address=self.address, host=self.host, port=self.port, version=self.version, **values)

    def by(self, protocol: str) -> "Endpoint":
        """The service itself. Raises Unavailable where it does not speak this protocol."""
        if protocol not in self.protocols:
            raise Unavailable(f"{self} does not echo by {protocol}", f"have it echo by {protocol} as well")
        return self


class Lan(Protocol):
    """What a bridged guest may expect of the network it joins. What is not known raises Unavailable."""

    @property
    def pool(self) -> str:
        """The addresses that the LAN's server hands out, for people."""

    @property
    def server(self) -> str:
        """The LAN's DHCP server."""

    @property
    def gateway(self) -> str: ...

    @property
    def resolver(self) -> str: ...

    def leases(self, address: str) -> bool:
        """Whether the LAN's server hands out this address."""


class Target(Protocol):
    """Where QEMU runs, which bridge it uses, and who can be reached from there.

    What a target does not have or does not know raises Unavailable, so that the claim that needs it is.
    """

    @property
    def kind(self) -> str:
        """`lab` or `host`."""

    @property
    def host(self) -> Station: ...

    @property
    def bridge(self) -> str: ...

    @property
    def address(self) -> str:
        """The host's own on the LAN."""

    @property
    def lan(self) -> Lan: ...

    @property
    def neighbour(self) -> Station:
        """Another machine of the LAN, at our command."""

    @property
    def caller(self) -> Station:
        """From where a guest is called over the LAN: its neighbour, or where there is none the host."""

    @property
    def caller_address(self) -> str:
        """The address that the guest sees then."""

    @property
    def neighbour_echo(self) -> Endpoint:
        """A service on the LAN."""

    @property
    def outside_echo(self) -> Endpoint:
        """A service beyond the LAN's router."""

    @property
    def far_echo(self) -> Endpoint:
        """A service of another machine, the farther the better."""

    @property
    def way_out(self) -> Endpoint:
        """What proves that anything gets out of a guest in user mode: the far service, else the host's loopback."""

    @property
    def loopback_echo(self) -> Endpoint:
        """A service of the host that listens on its loopback only."""

    @property
    def names(self) -> tuple[str, ...]:
        """What the resolver may be asked."""

    @property
    def expected_names(self) -> tuple[str, ...]:
        """Those of them that somebody expects guests to know as the host's own programs do."""

    @property
    def hops(self) -> tuple[str, ...]:
        """The addresses on the way from the host to `far_echo`."""

    def leases_known_to_server(self) -> list[ServerLease]: ...


@dataclass(frozen=True)
class LabLan:
    """The LAN of the lab's plan."""

    handed_out: AddressRange
    server: str
    gateway: str
    resolver: str

    @property
    def pool(self) -> str:
        return str(self.handed_out)

    def leases(self, address: str) -> bool:
        return address in self.handed_out


@dataclass(frozen=True)
class LabTarget:
    """The lab: everything is known because we built it."""

    host: Station
    bridge: str
    address: str
    lan: LabLan
    neighbour: Station
    caller: Station
    caller_address: str
    neighbour_echo: Endpoint
    outside_echo: Endpoint
    far_echo: Endpoint
    way_out: Endpoint
    loopback_echo: Endpoint
    names: tuple[str, ...]
    hops: tuple[str, ...]
    lab: Lab
    kind: str = "lab"
    #: Its programs ask the machine's own services, and those nobody may ask.
    expected_names: tuple[str, ...] = ()

    def leases_known_to_server(self) -> list[ServerLease]:
        return self.lab.dhcp.leases


def lab_target(lab: Lab) -> LabTarget:
    """The lab as a target."""
    outside = Endpoint(lab_addresses.OUTSIDE, lab_addresses.ECHO_PORT)
    return LabTarget(
        host=lab.host,
        bridge=lab_addresses.BRIDGE,
        address=lab_addresses.HOST,
        lan=LabLan(
            AddressRange(ip_address(lab_addresses.FIRST_LEASE), ip_address(lab_addresses.LAST_LEASE)),
            lab_addresses.ROUTER,
            lab_addresses.ROUTER,
            lab_addresses.ROUTER,
        ),
        neighbour=lab.neighbour,
        caller=lab.neighbour,
        caller_address=lab_addresses.NEIGHBOUR,
        neighbour_echo=Endpoint(lab_addresses.NEIGHBOUR, lab_addresses.ECHO_PORT),
        outside_echo=outside,
        far_echo=outside,
        way_out=outside,
        loopback_echo=Endpoint("127.0.0.1", lab_addresses.LOOPBACK_PORT),
        names=("www.example", lab_addresses.UNKNOWN_NAME),
        hops=(lab_addresses.ROUTER, lab_addresses.OUTSIDE),
        lab=lab,
    )
