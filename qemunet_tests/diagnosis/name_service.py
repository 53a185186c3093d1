"""Causes why names are not resolved, although the guest, QEMU and the way between are in order."""

import socket
from concurrent.futures import ThreadPoolExecutor
from ipaddress import ip_address

from qemunet_tests import timeouts
from qemunet_tests.diagnosis.failure import Failure
from qemunet_tests.diagnosis.lost_frame import own_attempt, search
from qemunet_tests.diagnosis.lost_frame.where_lost import AS_ROOT
from qemunet_tests.host import resolver, socket_table
from qemunet_tests.host.localhost import PATH as HOSTS_FILE
from qemunet_tests.host.obstacle import Obstacle
from qemunet_tests.isolation.station import Station
from qemunet_tests.network.host_target import own_addresses
from qemunet_tests.network.target import Endpoint
from qemunet_tests.observe.dns import PORT, ask_from, host_answers, refusals, used_by_qemu
from qemunet_tests.observe.host_names import known_otherwise

ANSWER_SECONDS = 2.0
_PUT_FIRST = "in /etc/resolv.conf, of which libslirp asks the first alone"


def no_resolver(failure: Failure) -> Obstacle | None:
    """libslirp then asks whatever may be on the loopback."""
    found = resolver.read()
    if found.used:
        return None
    reason = "/etc/resolv.conf names no IPv4 nameserver, and libslirp uses no other"
    if found.ipv6 and not failure.bench.station.ask(["ip", "-4", "route", "show", "default"]).text:
        return Obstacle(
            f"{reason}: this host has no default route of IPv4, and {found.ipv6[0]} is asked by IPv6",
            f"have guests ask {found.ipv6[0]}, or fec0::3, which libslirp passes on to it",
        )
    return Obstacle(
        reason, "echo 'nameserver ADDRESS' | sudo tee -a /etc/resolv.conf, with the address of one that answers by IPv4"
    )


def silent(failure: Failure) -> Obstacle | None:
    """libslirp asks the first IPv4 nameserver and no other, dead or not."""
    found = resolver.read()
    if found.used is None:
        return None
    by_udp, by_tcp = _answered(failure, found.used)
    if by_udp:
        return None
    if kept_here := own_attempt.refused_to_send(failure.target.host, Endpoint(found.used, PORT)):
        return kept_here
    if _is_here_and_unserved(failure.target.host, found.used):
        return Obstacle(
            f"the resolver {found.used}, the first in /etc/resolv.conf, is this host itself, and no program of it "
            f"listens at UDP port {PORT} of that address",
            f"start the resolver that is to listen there, or put one that answers first {_PUT_FIRST}",
        )
    if by_tcp:
        return Obstacle(
            f"the resolver {found.used}, the first in /etc/resolv.conf, answers this host by TCP and not by UDP: "
            "question or answer is lost, or sent elsewhere, by this host's own packet filter or beyond it",
            f"see whether it is this host: sudo nft list ruleset; then look between it and {found.used}",
        )
    rest = ", and libslirp asks no other" if len(found.ipv4) > 1 else ""
    # What only root sees of this host's own packet filter may keep questions from one that runs.
    path = search.incomplete_path(failure)
    where_it_runs = f"; where it runs, {AS_ROOT}" if path and path.unheard else ""
    return Obstacle(
        f"the resolver {found.used}, the first in /etc/resolv.conf, does not answer within {ANSWER_SECONDS:.0f} s"
        f"{rest}",
        f"start it, or put a resolver that answers first in /etc/resolv.conf{where_it_runs}",
    )


def _answered(failure: Failure, server: str) -> tuple[bool, bool]:
    """Whether a resolver answers this host by UDP, and by TCP, which are asked at once; the guest has asked before."""
    host, name = failure.target.host, failure.target.names[0]
    patience = timeouts.Stretched(ANSWER_SECONDS * timeouts.crowding())
    with ThreadPoolExecutor(1) as beside:
        by_tcp = beside.submit(ask_from, host, server, name, patience, "TCP")
        return host_answers(host, server, name, patience), by_tcp.result() is not None


def _is_here_and_unserved(host: Station, server: str) -> bool:
    """Whether an address is this host's own, and its kernel refuses questions because no program takes them.

    A port where nobody listens may be translated, as container engines have it: what is sent there is not refused.
    """
    if not (ip_address(server).is_loopback or server in own_addresses(host)):
        return False
    with host.entered():
        heard = [each.address for each in socket_table.listening("udp", PORT)]
    if any(each.is_unspecified or each == ip_address(server) for each in heard):
        return False
    with host.open_socket(socket.SOCK_DGRAM, to=server) as asking:
        asking.settimeout(ANSWER_SECONDS)
        try:
            asking.connect((server, PORT))
            asking.send(b"")
            asking.recv(1)
        except ConnectionRefusedError:
            return True
        except OSError:  # silence, or what this host keeps back, which is told by itself
            return False
    return False


def refuses(failure: Failure) -> Obstacle | None:
    """A resolver that is there and says that it will not answer, or cannot: guests are told so, as the host is."""
    server, target = used_by_qemu(), failure.target
    refused = refusals(target.host, server, target.names, target.expected_names)
    if not refused:
        return None
    name, code = next(iter(refused.items()))
    whatever = f"whatever it is asked ({', '.join(refused)})" if len(refused) == len(target.names) else f"for {name}"
    others = resolver.read().ipv4[1:]
    answers = ((each, ask_from(target.host, each, name)) for each in others)
    better = next((each for each, said in answers if said and (said.addresses or said.code == "NXDOMAIN")), None)
    instead = f"put {better} first" if better else "put one that does first"
    return Obstacle(
        f"the resolver {server} answers {code} {whatever}: it does not serve this host, or whom it asks in turn is out "
        "of order",
        f"{instead} {_PUT_FIRST}; or see in the log of {server} whom it serves",
    )


def known_elsewhere(failure: Failure) -> Obstacle | None:
    """A name that programs of this host have from elsewhere than from the resolver that QEMU asks."""
    server, target = used_by_qemu(), failure.target
    for name in target.expected_names:
        other = known_otherwise(target.host, server, name, ask_from(target.host, server, name))
        if other is None:
            continue
        if other.asked:
            return Obstacle(f"{other}: QEMU asks {server} alone", f"put {other.asked} first {_PUT_FIRST}")
        run_one = "; or run a resolver here that reads it, as dnsmasq does, and put 127.0.0.1 first"
        reads = run_one if other.source == HOSTS_FILE else ""
        return Obstacle(f"{other}: QEMU asks {server} alone", f"have {server} know it, too{reads}")
    return None
