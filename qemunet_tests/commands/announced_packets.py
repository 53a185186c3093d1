"""`qemunet run --target host --dry-run`: what would appear on this host's network, before anything does."""

from qemunet_tests.isolation.identity import on_the_host
from qemunet_tests.network.fixed_mac import fixed_mac
from qemunet_tests.settings import Settings


def foretell(settings: Settings) -> list[str]:
    """The lines to read. Nothing is started and nothing is sent."""
    named = settings.bridge if "bridge" in settings.model_fields_set else None
    return [
        f"guests would run as {on_the_host(settings.as_user).name}; nothing would be changed on this host",
        "",
        "user mode: no MAC address of a guest leaves QEMU; from this host's own address and sockets:",
        "  DNS    questions for localhost and for the names of --expect, to the first IPv4 nameserver of resolv.conf",
        *_peer(settings, "  "),
        "  TCP, UDP   ports 2222 and 2223 of this host listen while claims about hostfwd are tried",
        "",
        *(_bridged(settings, named) if named else ["bridge mode: nothing; no bridge was named (--bridge NAME)"]),
    ]


def _bridged(settings: Settings, bridge: str) -> list[str]:
    return [
        f"bridge mode: frames of {fixed_mac('bridge')}, one guest at a time, on {bridge} and whatever it leads to:",
        "  DHCP   discover, request and release, by broadcast and to the server that answers",
        "         where no offer comes and root looks for the cause, once more with the uplink's own address on it",
        "  ARP    for its gateway and for this host, and a probe whether anybody else has its address",
        "  ICMP   echo requests to its gateway, small and of full size, and to this host",
        "  IPv6   router solicitation, neighbour discovery and multicast listener reports of its link-local address",
        *_peer(settings, "  "),
        f"and from this host to the guest's address on {bridge}: ARP, ICMP echo requests, TCP to ports 22 and 34567",
    ]


def _peer(settings: Settings, indent: str) -> list[str]:
    if settings.peer is None:
        return [f"{indent}peer   nobody; none was named (--peer ADDR:PORT)"]
    return [f"{indent}peer   TCP, UDP and ICMP echo requests to {settings.peer}, at most 1 MB each way"]
