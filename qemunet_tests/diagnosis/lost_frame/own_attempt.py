"""A connection of the host's own, the control of its guests': what becomes of it, and whether anything left for it."""

import errno
import os
import socket
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from qemunet_tests.deadline import Deadline
from qemunet_tests.host import flow_lookup
from qemunet_tests.host.bridges import interfaces
from qemunet_tests.host.files import MACHINE, read_int
from qemunet_tests.host.obstacle import Obstacle
from qemunet_tests.host.policy_rules import RoutedPacket
from qemunet_tests.host.route_lookup import dead_end, link_to
from qemunet_tests.isolation.station import Station
from qemunet_tests.network.target import Endpoint
from qemunet_tests.timeouts import Stretched, crowding

#: What is sent is counted at once, but for drivers that read their card's counters once in so many seconds.
AT_ONCE_SECONDS, CARDS_SECONDS = 0.2, 3.0
ATTEMPTS = 5
#: A kernel asks again after one second, and after three; that nobody answers ARP it says after three requests, a second
#: each.
CALL_SECONDS = 3.5
LOOK = "sudo nft list ruleset, sudo bpftool cgroup tree"


@dataclass(frozen=True)
class OwnAttempt:
    """`error` is None where the connection opened; `kept_here` is what this host itself has against it."""

    error: OSError | None
    kept_here: Obstacle | None = None

    @property
    def words(self) -> str:
        return str(self.error.strerror or self.error) if self.error else ""


def refused_to_send(host: Station, service: Endpoint) -> Obstacle | None:
    """What this host itself has against a datagram: nobody else could refuse it at once."""
    try:
        with host.open_socket(socket.SOCK_DGRAM, to=service.address) as asking:
            asking.sendto(b"", (service.address, service.port))
    except OSError as error:
        return _by_its_error(host, service, error)
    return None


def connect(host: Station, service: Endpoint) -> OwnAttempt:
    """Open a connection from the host itself. Its kernel tries again by itself, so that one call is enough."""
    try:
        within = Stretched(CALL_SECONDS * crowding())
        host.connect(service.address, service.port, within_seconds=within).close()
    except OSError as error:
        return OwnAttempt(error, _by_its_error(host, service, error) or _unsent(host, service, error))
    return OwnAttempt(None)


def _by_its_error(host: Station, service: Endpoint, error: OSError) -> Obstacle | None:
    """Errors that are no machine's but this one's."""
    reason = f"this host itself sends nothing to {service} ({error.strerror})"
    if error.errno == errno.EPERM:
        return Obstacle(f"{reason}: by its packet filter, or by a program at this control group", f"see which: {LOOK}")
    if error.errno in (errno.EINVAL, errno.EACCES):
        by_route = dead_end(host.ask, service.address, os.geteuid(), (service.protocols[0].lower(), service.port))
        look = "see which: ip rule, ip route show table all"
        return by_route or Obstacle(f"{reason}: by a route or a rule that says so", look)
    if error.errno == errno.EADDRNOTAVAIL:
        return Obstacle(
            f"{reason}: no port of its own is free to call from (net.ipv4.ip_local_port_range, or too many "
            "connections there)",
            'see who has them: ss -tan; or sudo sysctl -w net.ipv4.ip_local_port_range="32768 60999"',
        )
    return None


def _unsent(host: Station, service: Endpoint, error: OSError) -> Obstacle | None:
    """What was refused, or had no answer, and never left: that nothing at all was sent meanwhile proves it."""
    link = link_to(host.ask, service.address, os.geteuid())
    if link in (None, "lo") or not isinstance(error, ConnectionRefusedError | TimeoutError):
        return None
    # Whose MAC address is not known is not sent anything yet, by nobody's fault here.
    hop = flow_lookup.handed_to(host.ask, RoutedPacket(service.address, os.geteuid(), ("tcp", service.port)))
    if hop and (hop.failed or not hop.mac):
        return None
    # Others' packets, which leave now and then, prove nothing.
    if not any(_sends_nothing(host, service) for _ in range(ATTEMPTS)):
        return None
    how = "refused" if isinstance(error, ConnectionRefusedError) else "dropped"
    return Obstacle(
        f"the connection to {service} is {how} by this host itself: nothing left by {link}, which leads there, nor by "
        "any other interface while it was tried",
        f"see which rule, or which program at this control group, does that, and accept this one there: {LOOK}",
    )


def _sends_nothing(host: Station, service: Endpoint) -> bool:
    """The first packet of a connection is sent at once, or never."""
    before = _handed_over()
    with host.open_socket(to=service.address) as calling:
        calling.setblocking(False)
        calling.connect_ex((service.address, service.port))
        cards = any(Path("/sys/class/net", link, "device").exists() for link in before)
        counted = Deadline(CARDS_SECONDS if cards else AT_ONCE_SECONDS, "something to be sent")
        return not counted.sees(lambda: _handed_over() != before, interval_seconds=0.05)


def goes_by(host: Station, service: Endpoint, link: str, usual: str) -> bool:
    """Whether what this host itself sends is counted at one interface each time, and not each time at the usual one."""
    counted = [_counted_at(host, service, link) for _ in range(ATTEMPTS)]
    return all(link in each for each in counted) and any(usual not in each for each in counted)


def _counted_at(host: Station, service: Endpoint, link: str) -> set[str]:
    """The interfaces that were handed something, sent or thrown away, once this one was or time was up."""
    before = _handed_over()
    kind = socket.SOCK_STREAM if "TCP" in service.protocols else socket.SOCK_DGRAM

    def more() -> set[str]:
        return {each for each, count in _handed_over().items() if count != before.get(each)}

    with host.open_socket(kind, to=service.address) as calling:
        calling.setblocking(False)
        # What refuses has had it all the same, or nobody has: then nothing is counted.
        with suppress(OSError):
            if calling.connect_ex((service.address, service.port)) == 0:
                calling.send(b"qemunet")
        Deadline(AT_ONCE_SECONDS, "something to be sent").sees(lambda: link in more(), interval_seconds=0.05)
        return more()


def _handed_over() -> dict[str, tuple[int | None, ...]]:
    """How many packets each interface has sent so far, and its driver thrown away, but for the loopback."""
    at, names = "/sys/class/net/{}/statistics/{}", ("tx_packets", "tx_dropped")
    links = (link for link in interfaces() if link != "lo")
    return {link: tuple(read_int(MACHINE, at.format(link, name)) for name in names) for link in links}
