"""Causes beyond the host: servers that do not answer, and other machines of a bridged guest's LAN."""

import errno
import os
from ipaddress import ip_address, ip_interface

from qemunet_tests.diagnosis.failure import Failure
from qemunet_tests.diagnosis.lost_frame import arp_answers, other_routes, own_attempt, search, told_by_icmp
from qemunet_tests.guest.guest import Guest
from qemunet_tests.host import flow_lookup, tunnels
from qemunet_tests.host.obstacle import Obstacle
from qemunet_tests.host.policy_rules import RoutedPacket
from qemunet_tests.host.route_lookup import Neighbour, next_hop
from qemunet_tests.network.host_target import addresses, gateway_over, own_addresses
from qemunet_tests.network.target import Endpoint
from qemunet_tests.observe.arp import ELSEWHERE, owners, owners_of_each
from qemunet_tests.observe.icmp import ping

#: What this host, or a router, says of a machine to which nothing gets.
NO_WAY = (errno.ENETUNREACH, errno.EHOSTUNREACH)


def outside_unreachable(failure: Failure) -> Obstacle | None:
    """What the host cannot reach itself, its guests in user mode cannot either."""
    return _unreachable(failure, failure.target.far_echo)


def lan_unreachable(failure: Failure) -> Obstacle | None:
    """The same of the host's own LAN."""
    return _unreachable(failure, failure.target.neighbour_echo)


def _unreachable(failure: Failure, service: Endpoint) -> Obstacle | None:
    tried = own_attempt.connect(failure.target.host, service)
    by_tcp = search.is_about(failure, "tcp")
    settled = _settled(failure, tried, service) if by_tcp else None
    if tried.error is None or settled:
        return settled
    reason = f"the host itself does not reach {service.address} ({tried.words})"
    called = RoutedPacket(service.address, os.geteuid(), ("tcp", service.port))
    hop = flow_lookup.handed_to(failure.target.host.ask, called)
    if hop and (trouble := arp_answers.trouble(failure, hop)):
        return trouble
    if hop and hop.failed:
        nobody = f"{reason}: nobody on {hop.link} answers {_asking(hop.address)} for {hop.address}"
        look = f"see whether {hop.address} is there and running"
        around = other_routes.with_another(failure.target.host, called)
        return Obstacle(nobody, f"{around}; for good {look}" if around else look)
    # That a connection is dropped or refused says nothing of datagrams; that there is no way says all.
    if not by_tcp and tried.error.errno not in NO_WAY:
        return None
    return _silent(failure, service, hop, reason)


def _settled(failure: Failure, tried: own_attempt.OwnAttempt, service: Endpoint) -> Obstacle | None:
    """What an attempt says by itself: that this host kept it back, or that somebody rejected or refused it."""
    if tried.kept_here or tried.error is None or isinstance(tried.error, TimeoutError):
        return tried.kept_here
    if told := told_by_icmp.rejection(failure.target.host, service):
        return _rejected_by(failure, told, service)
    return refused_by(service) if isinstance(tried.error, ConnectionRefusedError) else None


def _rejected_by(failure: Failure, told: told_by_icmp.Rejection, service: Endpoint) -> Obstacle:
    """Whoever has nobody at a port resets the connection, and says nothing by ICMP."""
    by = "this host itself" if told.by in own_addresses(failure.target.host) else told.by
    return Obstacle(
        f"{by} rejects the connection to {service} by ICMP ({told.words}): a rule of its firewall does, for "
        "nothing else answers TCP so",
        f"accept it there: sudo nft list ruleset, typed at {by}, shows the rule",
    )


def _silent(failure: Failure, service: Endpoint, hop: Neighbour | None, reason: str) -> Obstacle:
    """Somebody whose MAC address is known, and no answer: neighbour tables remember for a while who has gone."""
    if hop is None or not hop.mac:
        called = RoutedPacket(service.address, os.geteuid())
        unheard = tunnels.unanswering(failure.target.host.ask, called, reason)
        return unheard or Obstacle(reason, "mend the host's own route and its router first")
    there = ping(failure.target.host, hop.address, count=1, wait_seconds=1).received
    if hop.address != service.address:
        return Obstacle(
            f"{reason}, and the router {hop.address} {'is there' if there else 'answers no ping'}: whether it passes "
            f"that on, and whether {service.address} is there, this host cannot tell",
            f"see how far it gets: traceroute {service.address}; then look at {service.address} itself",
        )
    if not there:
        return Obstacle(
            f"{reason}, and {hop.address}, whose MAC this host knows, answers no ping either: it has gone, or a "
            "firewall, of this host or of that one, drops or rewrites what it is sent",
            f"see whether {hop.address} is there and running, then look at both: sudo nft list ruleset",
        )
    return Obstacle(
        f"{reason}, though {hop.address} is there and answers {_asking(hop.address)}: a firewall, of this host "
        "or of that one, drops or rewrites what it is sent",
        "look at both: sudo nft list ruleset",
    )


def _asking(address: str) -> str:
    """How a machine is asked whose address that is."""
    return "neighbour solicitations" if ":" in address else "ARP"


def refused_by(service: Endpoint) -> Obstacle:
    """Whoever refuses was reached, unless somebody on the way does so in his name: a reset does not tell."""
    listen = "TCP6" if service.version == 6 else "TCP"
    return Obstacle(
        f"{service.address} was reached and refuses: nobody listens at its port {service.port}, or a firewall, there "
        "or on the way, resets the connection",
        f"start the echo service there: socat {listen}-LISTEN:{service.port},fork,reuseaddr EXEC:cat; where it runs, "
        "see which firewall does that: sudo nft list ruleset",
    )


def other_dhcp_server(failure: Failure) -> Obstacle | None:
    """The first offer wins, whoever made it."""
    got = failure.lan_lease
    if got is None or got.server == failure.target.lan.server:
        return None
    return Obstacle(
        f"the lease comes from {got.server}, not from the LAN's own server {failure.target.lan.server}: "
        "somebody else serves DHCP there",
        f"find that machine (ip neigh show {got.server}) and stop its DHCP server",
    )


def leased_hosts_address(failure: Failure) -> Obstacle | None:
    """A DHCP server that gives away what this host has by hand: both then talk to themselves."""
    got = failure.lan_lease
    link = own_addresses(failure.target.host).get(got.address) if got else None
    if got is None or link is None:
        return None
    return Obstacle(
        f"the guest was leased {got.address}, which is this host's own address on {link}: the DHCP server {got.server} "
        "has it among those that it gives away",
        f"take {got.address} out of the range of {got.server}, or tell it that it is this host's",
    )


def router_named_otherwise(failure: Failure) -> Obstacle | None:
    """A DHCP server that sends guests to a router that is not there, where this host goes out by another."""
    got, path = failure.lan_lease, search.incomplete_path(failure)
    if got is None or path is None or not path.unanswered or path.exchange.asked.protocol != "arp":
        return None
    own = gateway_over(failure.target.host, failure.target.bridge)
    if path.exchange.asked.destination != got.gateway or own in (None, got.gateway):
        return None
    return Obstacle(
        f"the DHCP server {got.server} names {got.gateway} as the router, and nobody behind {path.places[-1]} answers "
        f"ARP for it: this host goes out by {own}",
        f"have {got.server} name {own} (DHCP option 3), or see why {got.gateway} is not there",
    )


def network_told_otherwise(failure: Failure) -> Obstacle | None:
    """A netmask by which a guest looks for somebody of the LAN elsewhere, or for somebody elsewhere on the LAN."""
    got, service = failure.lan_lease, search.service_of(failure)
    own = [each.network for each in addresses(failure.target.host, failure.target.bridge)]
    if got is None or not own or ip_address(got.address) not in own[0]:
        return None
    told = ip_interface(got.interface).network
    wanted = [ip_address(each) for each in (service.address if service else None, got.gateway) if each]
    mistaken = [each for each in wanted if (each in told) != any(each in network for network in own)]
    if not mistaken:
        return None
    return Obstacle(
        f"the DHCP server {got.server} tells guests that their network is {told}, and this host's on "
        f"{failure.target.bridge} is {own[0]}: {mistaken[0]} is in one of the two alone",
        f"have {got.server} give out the netmask {own[0].netmask} (DHCP option 1), or correct this host's",
    )


def address_taken(failure: Failure) -> Obstacle | None:
    """A machine that was given the address by hand, where the server gives it away as well."""
    got = failure.lan_lease
    others = owners(failure.guest, got.address) if failure.guest and got else []
    if got is None or not others or failure.guest is None:
        return None
    mac, also, for_all = _has_others(failure, failure.guest, got.address, others)
    if for_all:
        return Obstacle(
            f"{mac} answers ARP for {got.address}, which the guest was leased, and for {also} and {ELSEWHERE} as well: "
            "it answers for whomever it knows a way to (proxy ARP), and clients that ask whether an address is free "
            "(RFC 5227) decline the lease",
            f"switch proxy ARP off at that machine's port to this LAN (see who it is: ip neigh | grep {mac})",
        )
    beside = f", which has {also} as well" if also else ""
    return Obstacle(
        f"somebody else on the LAN has {got.address}, which the guest was leased: {', '.join(others)}{beside}",
        f"find that machine and give it another address, or take {got.address} out of the DHCP server's range",
    )


def _has_others(failure: Failure, guest: Guest, address: str, macs: list[str]) -> tuple[str, str, bool]:
    """Who of these says that several addresses beside this one are his, too, which, and whether one elsewhere is as
    well; empty where nobody does.
    """
    beside = [str(ip_address(int(ip_address(address)) ^ bit)) for bit in (1, 2, 4)]
    known = own_addresses(failure.target.host)
    asked = owners_of_each(guest, [*(each for each in beside if each not in known), ELSEWHERE])
    elsewhere = asked.pop(ELSEWHERE)
    for mac in macs:
        also = [each for each, found in asked.items() if mac in found]
        if len(also) > 1:
            return mac, ", ".join(also), mac in elsewhere
    return "", "", False


def neighbour_unreachable(failure: Failure) -> Obstacle | None:
    """What the host cannot reach over the same bridge, its guests cannot either."""
    if not failure.on_lan:
        return None
    service = failure.target.neighbour_echo
    tried = own_attempt.connect(failure.target.host, service)
    # What becomes of a connection says something of a claim about connections alone.
    if not search.is_about(failure, "tcp"):
        return _gone(failure, service, tried)
    settled = _settled(failure, tried, service)
    return settled or (_not_reached(service, tried) if tried.error else None)


def caller_unreachable(failure: Failure) -> Obstacle | None:
    """Who is to call the guest, and is not there: the host sees that he answers no ARP."""
    if not failure.on_lan or failure.target.caller is failure.target.host:
        return None
    service = failure.target.neighbour_echo
    return _gone(failure, service, own_attempt.connect(failure.target.host, service))


def _gone(failure: Failure, service: Endpoint, tried: own_attempt.OwnAttempt) -> Obstacle | None:
    """Somebody of this host's own network who does not even answer ARP: then nobody there reaches him by anything."""
    hop = next_hop(failure.target.host.ask, service.address, os.geteuid()) if tried.error else None
    asked = hop is not None and hop.address == service.address and (hop.failed or not hop.mac)
    return _not_reached(service, tried) if asked else None


def _not_reached(service: Endpoint, tried: own_attempt.OwnAttempt) -> Obstacle:
    reason = f"the host itself does not reach the neighbour {service.address} ({tried.words})"
    return Obstacle(reason, "see whether that machine is there, and mend the LAN between")
