"""Causes in QEMU's own user network, and in passt, shown by the frames at their two sides.

Between a guest's NIC and the sockets that QEMU has on the host there is nothing but QEMU: what came in at one side, was
due at the other and never got there was lost in it. Its DHCP server, gateway and resolver are QEMU itself, so that of
those even one side tells all. A wrapper or a configuration that starts QEMU with other options is looked for
before.
"""

import re
from collections.abc import Container, Iterable
from ipaddress import ip_address

from qemunet_tests.deadline import Deadline
from qemunet_tests.diagnosis.failure import Failure
from qemunet_tests.diagnosis.lost_frame import probes, search, where_lost
from qemunet_tests.diagnosis.lost_frame.frame_path import SETTLING_SECONDS, FramePath, follow
from qemunet_tests.diagnosis.lost_frame.kernel_counters import errors_taken
from qemunet_tests.guest.guest import Guest
from qemunet_tests.guest.icmp_error import TYPES, IcmpError
from qemunet_tests.host import flow_lookup
from qemunet_tests.host.obstacle import Obstacle
from qemunet_tests.host.policy_rules import RoutedPacket
from qemunet_tests.isolation.script_of_user import run_as
from qemunet_tests.isolation.station import Station
from qemunet_tests.modes import user
from qemunet_tests.observe.capture import ICMP, TCP, Captures, GuestCapture, Packet, packet, whole_capture
from qemunet_tests.observe.dhcp import dhcp_messages, told_by_dhcp
from qemunet_tests.observe.dns import answers_user, used_by_qemu
from qemunet_tests.observe.icmp import hops_once
from qemunet_tests.observe.lease import lease_now
from qemunet_tests.observe.process import listening_sockets
from qemunet_tests.qemu.netdev import Netdev
from qemunet_tests.timeouts import crowding, whole

_NETWORK = "QEMU's user network"


def _another(netdev: Netdev) -> str:
    """What to do about a program that is to blame."""
    option, name = netdev.another
    return f"try another {name}, and report it with the capture of the guest's NIC that is kept beside: {option}"


_ANOTHER = _another(user.netdev())
_GATEWAY, _RESOLVER = "10.0.2.2", "10.0.2.3"
#: RFC 792: the time to live is over.
_FIRST_HOP = IcmpError(_GATEWAY, type=11, code=0)


#: What the built-in DHCP server tells a guest unless an option says otherwise: scapy's names, ours, and the values.
_DOCUMENTED = (
    ("address", "address", "10.0.2.15"),
    ("subnet_mask", "mask", "255.255.255.0"),
    ("router", "gateway", _GATEWAY),
    ("name_server", "resolver", _RESOLVER),
    ("lease_time", "lease in seconds", "86400"),
)


def gives_no_lease(failure: Failure) -> Obstacle | None:
    """Requests that came to QEMU's own DHCP server, and what it said to them."""
    guest = _guest_of(failure)
    seen = dhcp_messages(guest) if guest else []
    asked = seen.count("discover") + seen.count("request")
    if not asked or "ack" in seen:
        return None
    if refusals := seen.count("nak"):
        return Obstacle(
            f"{_NETWORK} answered {refusals} requests with NAK, though it had offered that address", _ANOTHER
        )
    if "offer" in seen:
        return Obstacle(f"{_NETWORK} offered an address and did not answer the requests for it", _ANOTHER)
    return Obstacle(f"{_NETWORK} offered no address, though {asked} DHCP requests of the guest came to it", _ANOTHER)


def tells_otherwise(failure: Failure) -> Obstacle | None:
    """A lease that is not what is documented, where nobody asked for another."""
    guest = _guest_of(failure)
    if guest is None or guest.nics[0].netdev.spell("net0") != "user,id=net0":
        return None
    told = next(told_by_dhcp(guest, "ack"), None)
    differences = [
        f"{our_name} {told.get(name) or 'none'}, though {value} is documented"
        for name, our_name, value in _DOCUMENTED
        if told and told.get(name) != value
    ]
    return Obstacle(f"{_NETWORK} told the guest by DHCP: {'; '.join(differences)}", _ANOTHER) if differences else None


def addresses_otherwise(failure: Failure) -> Obstacle | None:
    """Packets for the guest that bear another hardware address than the guest's: its kernel does not take them."""
    guest = _guest_of(failure)
    got = lease_now(guest) if guest else None
    if guest is None or got is None:
        return None
    packets = [found for frame in whole_capture(guest) if (found := packet(frame)) and found.target == got.address]
    wrong = {each.target_mac for each in packets if each.kind == TCP} - set(guest.macs)
    if not wrong:
        return None
    return Obstacle(
        f"{_NETWORK} sends what is for {got.address} to the hardware address {' and '.join(sorted(wrong))}, though the "
        f"guest asks from {guest.macs[0]}",
        _ANOTHER,
    )


def answers_no_ping(failure: Failure) -> Obstacle | None:
    """Gateway and resolver, which QEMU is itself."""
    guest = _guest_of(failure)
    if guest is None or not any(topic.startswith("ping") for topic in failure.topics):
        return None
    for address in (_GATEWAY, _RESOLVER):
        wire = GuestCapture(guest)
        path = follow(probes.echo(guest, address), guest, failure.bench.station, [], [])
        if path.asked[0] and not path.complete:
            instead = {each.source for each in wire.packets() if each.kind == ICMP and each.first == 0} - {address}
            how = f"answered with the address of {' and '.join(sorted(instead))}" if instead else "did not answer"
            return Obstacle(
                f"{_NETWORK} {how}, though {path.asked[0]} echo requests for {address} came to it", _ANOTHER
            )
    return None


def tells_of_other_hops(failure: Failure) -> Obstacle | None:
    """Errors about what QEMU sent come to the host, and the guest has to be told the same of its own packets.

    At the first hop, which it is itself, QEMU says so itself.
    """
    guest = _guest_of(failure)
    if guest is None or "hops" not in failure.topics or lease_now(guest) is None:
        return None
    address, station = failure.target.far_echo.address, failure.bench.station
    link = flow_lookup.link_of(station.ask, RoutedPacket(address, failure.bench.identity.uid))
    taken = errors_taken(station)
    with Captures(guest, station, [link] if link else []) as captures:
        if link not in captures.links:
            return None
        hops_once(guest, address, "udp", whole(crowding()))
        came = _errors(captures.links[link].packets(), address, _udp_ports(guest, station))
        # What a filter of the host keeps from QEMU was seen at the link all the same.
        if errors_taken(station) - taken < len(came):
            return None
        due = {_FIRST_HOP, *came}
        arriving = Deadline(SETTLING_SECONDS, "QEMU to tell what was under way")
        # Something that is not due will not be so later.
        arriving.sees(lambda: not set(_errors(captures.guest.packets(), address)) < due, interval_seconds=0.1)
        told = set(_errors(captures.guest.packets(), address))
    if told == due:
        return None
    return Obstacle(
        f"{_NETWORK} told the guest of its packets to {address}: {_in_words(told)}; though {link} brought QEMU "
        f"{_in_words(set(came))}, and at the first hop QEMU itself has to say {_FIRST_HOP}",
        _ANOTHER,
    )


def _errors(packets: Iterable[Packet], address: str, ports: Container[int] | None = None) -> list[IcmpError]:
    """What ICMP says of packets to an address, and from one of these ports where some are given."""
    found = []
    for each in packets:
        # Behind four bytes stands the packet that it is about, from its header on.
        quoted = each.payload[4:]
        if each.kind != ICMP or each.first not in TYPES or quoted[16:20] != ip_address(address).packed:
            continue
        content = quoted[(quoted[0] & 15) * 4 :]
        if ports is None or int.from_bytes(content[:2]) in ports:
            found.append(IcmpError(each.source, each.first, each.second))
    return found


def _in_words(errors: Iterable[IcmpError]) -> str:
    return ", ".join(sorted(map(str, errors))) or "nothing"


def _udp_ports(guest: Guest, station: Station) -> set[int]:
    """Those of this QEMU: another program of the host may trace the same way just now."""
    listening = (each.partition(" ") for each in listening_sockets(guest, station))
    return {int(place.rpartition(":")[2]) for protocol, _, place in listening if protocol == "udp"}


def passes_nothing_on(failure: Failure) -> Obstacle | None:
    """A question that came to QEMU and did not leave it, while the host itself is answered."""
    return _kept(failure, of_answer=False, what_it_did="sent nothing for")


def gives_nothing_back(failure: Failure) -> Obstacle | None:
    """An answer that came in for QEMU and that the guest never got, while the host itself is answered."""
    return _kept(failure, of_answer=True, what_it_did="did not give the guest")


def _kept(failure: Failure, of_answer: bool, what_it_did: str) -> Obstacle | None:
    netdev = failure.guest.nics[0].netdev if failure.guest and failure.guest.nics else None
    path = search.incomplete_path(failure) if netdev and netdev.passed_on_by else None
    gap = path.gap if path else None
    if netdev is None or path is None or gap is None or gap[2] != of_answer:
        return None
    # What has a limit, or is about QEMU alone, may let the host's own question pass.
    if where_lost.something_stands_there(failure) or not _host_is_answered(failure, path):
        return None
    before, after, _ = gap
    what = path.exchange.answer if of_answer else path.exchange.question
    return Obstacle(
        f"{netdev.passed_on_by} {what_it_did} the {what}, which was seen at {before} and not at {after}, though the "
        "host itself asks the same, as the user that QEMU runs as, and is answered",
        _another(netdev),
    )


def asks_its_own_resolver(failure: Failure) -> Obstacle | None:
    """A question that left the host for the address that QEMU itself has towards the guest."""
    guest = _guest_of(failure)
    got = lease_now(guest) if guest else None
    path = search.incomplete_path(failure) if got else None
    if got is None or path is None or not path.unanswered or len(path.places) == 1:
        return None
    resolver, own = used_by_qemu(), got.resolvers[:1]
    if resolver in own or path.targets != own or not _host_is_answered(failure, path):
        return None
    return Obstacle(
        f"{_NETWORK} sent the {path.exchange.question} out at {path.places[-1]} to {own[0]}, the address that QEMU "
        f"itself has for the guest, and not to {resolver}, which answers the host's own questions",
        _ANOTHER,
    )


def _guest_of(failure: Failure) -> Guest | None:
    """A guest of user mode whose QEMU runs."""
    guest = failure.guest
    if guest is None or not guest.nics or guest.nics[0].netdev.kind != "user":
        return None
    return guest if guest.qemu.how_it_ended() is None and guest.panic is None else None


def _host_is_answered(failure: Failure, path: FramePath) -> bool:
    """The control: the same question, put by the host as QEMU's user."""
    if path.exchange.question.startswith("DNS"):
        station, identity = failure.bench.station, failure.bench.identity
        return all(answers_user(station, identity, used_by_qemu(), name) for name in failure.target.names)
    asked = re.fullmatch(r"(TCP|UDP|echo) \w+ to ([^\s:]+):?(\d*)", path.exchange.question)
    if asked is None:
        return False
    protocol, address, port = asked.groups()
    return run_as(failure.bench.station, failure.bench.identity, _ASK, protocol, address, port or "0").succeeded


#: The lab's services send back what they get. A ping socket takes and gives an echo with its header of eight bytes.
_ASK = """
import socket, sys
word = b"qemunet"
kind, protocol, sent, skipped = {
    "TCP": (socket.SOCK_STREAM, 0, word, 0),
    "UDP": (socket.SOCK_DGRAM, 0, word, 0),
    "echo": (socket.SOCK_DGRAM, socket.IPPROTO_ICMP, bytes((8, 0, 0, 0, 0, 0, 0, 1)) + word, 8),
}[sys.argv[1]]
asking = socket.socket(socket.AF_INET, kind, protocol)
asking.settimeout(3)
asking.connect((sys.argv[2], int(sys.argv[3])))
asking.send(sent)
sys.exit(asking.recv(100)[skipped:] != word)
"""
