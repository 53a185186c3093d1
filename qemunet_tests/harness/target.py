"""What is judged, and what is expected of it: the lab's own plan, or what a real host says of itself."""

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network

from qemunet_tests.harness.lab import Lab, plan
from qemunet_tests.harness.lab.dnsmasq import ServerLease
from qemunet_tests.harness.lab.station import Station


@dataclass(frozen=True)
class Endpoint:
    """A TCP and UDP service that sends back what it gets."""

    address: str
    port: int

    def __str__(self) -> str:
        return f"{self.address}:{self.port}"


@dataclass(frozen=True)
class Lan:
    """What a bridged guest may expect of the network it joins."""

    network: IPv4Network
    first_lease: IPv4Address
    last_lease: IPv4Address
    gateway: str
    resolver: str

    def leases(self, address: str) -> bool:
        """Whether the LAN's server hands out this address."""
        return self.first_lease <= IPv4Address(address) <= self.last_lease


@dataclass(frozen=True)
class Target:
    """Where QEMU runs, which bridge it uses, and who can be reached from there."""

    kind: str
    host: Station
    bridge: str
    #: The host's own on the LAN.
    address: str
    lan: Lan
    neighbour: Station
    neighbour_echo: Endpoint
    outside_echo: Endpoint
    #: A service of the host that listens on its loopback only.
    loopback_echo: Endpoint
    #: A name and the addresses the resolver of this host has for it.
    known_name: str
    known_addresses: tuple[str, ...]
    lab: Lab

    def leases_known_to_server(self) -> list[ServerLease]:
        return self.lab.dhcp.leases


def lab_target(lab: Lab) -> Target:
    """The lab as a target: everything is known because we built it."""
    return Target(
        kind="lab",
        host=lab.host,
        bridge=plan.BRIDGE,
        address=plan.HOST,
        lan=Lan(
            IPv4Network(f"{plan.HOST}/{plan.LAN_PREFIX}", strict=False),
            IPv4Address(plan.FIRST_LEASE),
            IPv4Address(plan.LAST_LEASE),
            plan.ROUTER,
            plan.ROUTER,
        ),
        neighbour=lab.neighbour,
        neighbour_echo=Endpoint(plan.NEIGHBOUR, plan.ECHO_PORT),
        outside_echo=Endpoint(plan.OUTSIDE, plan.ECHO_PORT),
        loopback_echo=Endpoint("127.0.0.1", plan.LOOPBACK_PORT),
        known_name="www.example",
        known_addresses=(plan.NAMES["www.example"],),
        lab=lab,
    )
