"""Causes beyond the host: servers that do not answer, and other machines of a bridged guest's LAN."""

from qemunet_tests.diagnosis.failure import Failure
from qemunet_tests.host import resolver
from qemunet_tests.host.obstacle import Obstacle
from qemunet_tests.host.route_lookup import next_hop
from qemunet_tests.network.target import Endpoint
from qemunet_tests.observe.arp import owners
from qemunet_tests.observe.dns import host_answers
from qemunet_tests.observe.lease import lease


def no_resolver(_: Failure) -> Obstacle | None:
    """libslirp then asks whatever may be on the loopback."""
    if resolver.read().used:
        return None
    return Obstacle(
        "/etc/resolv.conf names no IPv4 nameserver, and libslirp uses no other",
        "echo 'nameserver ADDRESS' | sudo tee -a /etc/resolv.conf, with the address of one that answers by IPv4",
    )


def resolver_silent(failure: Failure) -> Obstacle | None:
    """libslirp asks the first IPv4 nameserver and no other, dead or not."""
    found = resolver.read()
    if found.used is None or host_answers(failure.target.host, found.used, failure.target.names[0]):
        return None
    rest = ", and libslirp asks no other" if len(found.ipv4) > 1 else ""
    return Obstacle(
        f"the resolver {found.used}, the first in /etc/resolv.conf, does not answer{rest}",
        "start it, or put a resolver that answers first in /etc/resolv.conf",
    )


def outside_unreachable(failure: Failure) -> Obstacle | None:
    """What the host cannot reach itself, its guests in user mode cannot either."""
    return _unreachable(failure, failure.target.far_echo)


def lan_unreachable(failure: Failure) -> Obstacle | None:
    """The same of the host's own LAN."""
    return _unreachable(failure, failure.target.neighbour_echo)


def _unreachable(failure: Failure, service: Endpoint) -> Obstacle | None:
    try:
        failure.target.host.connect(service.address, service.port, within_seconds=3.0).close()
    except ConnectionRefusedError:
        return refused_by(service)
    except OSError as error:
        reason = f"the host itself does not reach {service.address} ({error.strerror or error})"
        hop = next_hop(failure.target.host.ask, service.address)
        if hop and hop.failed:
            nobody = f"{reason}: nobody on {hop.link} answers {_asking(hop.address)} for {hop.address}"
            return Obstacle(nobody, f"see whether {hop.address} is there and running")
        if hop and hop.mac:
            return Obstacle(
                f"{reason}, though {hop.address} is there and answers {_asking(hop.address)}: a firewall, of this host "
                "or of that one, drops what it is sent",
                "look at both: sudo nft list ruleset",
            )
        return Obstacle(reason, "mend the host's own route and its router first")
    return None


def _asking(address: str) -> str:
    """How a machine is asked whose address that is."""
    return "neighbour solicitations" if ":" in address else "ARP"


def refused_by(service: Endpoint) -> Obstacle:
    """Whoever refuses was reached."""
    listen = "TCP6" if service.version == 6 else "TCP"
    return Obstacle(
        f"{service.address} was reached and refuses: nobody listens at its port {service.port}",
        f"start the echo service there: socat {listen}-LISTEN:{service.port},fork,reuseaddr EXEC:cat",
    )


def other_dhcp_server(failure: Failure) -> Obstacle | None:
    """The first offer wins, whoever made it."""
    got = lease(failure.guest, within_seconds=0.0) if failure.guest and failure.on_lan else None
    if got is None or got.server == failure.target.lan.server:
        return None
    return Obstacle(
        f"the lease comes from {got.server}, not from the LAN's own server {failure.target.lan.server}: "
        "somebody else serves DHCP there",
        f"find that machine (ip neigh show {got.server}) and stop its DHCP server",
    )


def address_taken(failure: Failure) -> Obstacle | None:
    """A machine that was given the address by hand, where the server gives it away as well."""
    got = lease(failure.guest, within_seconds=0.0) if failure.guest and failure.on_lan else None
    others = owners(failure.guest, got.address) if failure.guest and got else []
    if got is None or not others:
        return None
    return Obstacle(
        f"somebody else on the LAN has {got.address}, which the guest was leased: {', '.join(others)}",
        f"find that machine and give it another address, or take {got.address} out of the DHCP server's range",
    )


def neighbour_unreachable(failure: Failure) -> Obstacle | None:
    """What the host cannot reach over the same bridge, its guests cannot either."""
    if not failure.on_lan:
        return None
    service = failure.target.neighbour_echo
    try:
        failure.target.host.connect(service.address, service.port, within_seconds=3.0).close()
    except ConnectionRefusedError:
        return refused_by(service)
    except OSError as error:
        reason = f"the host itself does not reach the neighbour {service.address} ({error.strerror or error})"
        return Obstacle(reason, "see whether that machine is there, and mend the LAN between")
    return None
