"""Causes where libslirp, QEMU's own network stack, meets the host it runs on."""

import socket
from contextlib import suppress

from qemunet_tests.diagnosis.failure import Failure
from qemunet_tests.errors import Unavailable
from qemunet_tests.host import localhost, nft_ruleset
from qemunet_tests.host.icmp import GATE, gate_opens
from qemunet_tests.host.localhost import PATH as HOSTS_FILE
from qemunet_tests.host.nft_match import PacketSeen
from qemunet_tests.host.nft_ruleset import Ruleset, stops
from qemunet_tests.host.obstacle import Obstacle
from qemunet_tests.observe.host_names import known_to_programs
from qemunet_tests.observe.icmp import closed_port_is_told, expiry_is_told, ping
from qemunet_tests.observe.process import listening_sockets
from qemunet_tests.timeouts import turns, whole

_LOOPBACK = "127.0.0.1"
_LET_ERRORS_PASS = "let ICMP errors (time-exceeded, destination-unreachable) pass the firewalls between here and there"


def loopback_down(failure: Failure) -> Obstacle | None:
    """The gateway's address stands for the host's loopback, and the server of smb= is talked to over it."""
    link = failure.target.host.link("lo")
    if link and link["state"] == "up":
        return None
    return Obstacle("the loopback interface of the host, which 10.0.2.2 stands for, is down", "sudo ip link set lo up")


def localhost_elsewhere(failure: Failure) -> Obstacle | None:
    """What is forwarded without an address is forwarded at those of IPv4; programs of the host say `localhost`."""
    found = known_to_programs(failure.target.host, "localhost", "ahosts")
    if not found or any(":" not in each for each in found):
        return None
    by = f"so says {HOSTS_FILE}" if localhost.addresses() else f"as those say whom {HOSTS_FILE} leaves it to"
    return Obstacle(
        f"localhost is {' and '.join(found)} on this host, {by}, and QEMU forwards ports of IPv4 alone: who calls "
        "localhost is refused",
        f"echo '127.0.0.1 localhost' | sudo tee -a {HOSTS_FILE}; until then say 127.0.0.1",
    )


def own_name_unknown(failure: Failure) -> Obstacle | None:
    """smbd asks for the name of its host several times before it says a word."""
    name = socket.gethostname()
    for patience_seconds in turns(3):
        asking = f"timeout {whole(patience_seconds)} getent hosts {name}"
        if failure.target.host.run(asking, within_seconds=patience_seconds + 2).succeeded:
            return None
    return Obstacle(
        f"this host does not know its own name, {name}, and smbd waits for the resolver",
        f"echo '127.0.1.1 {name}' | sudo tee -a /etc/hosts",
    )


def lan_kept_out(failure: Failure) -> Obstacle | None:
    """QEMU listens on the LAN, and the host's own firewall throws away what comes."""
    by = None
    with suppress(Unavailable):  # where no bridge was named nobody knows by what the LAN comes in
        by = failure.target.bridge
    for listening in listening_sockets(failure.guest, failure.target.host) if failure.guest else ():
        protocol, _, place = listening.partition(" ")
        if not place.startswith("0.0.0.0:"):
            continue
        asked = PacketSeen(protocol.lower(), port=int(place.rpartition(":")[2]), coming_by=by, to_this_host=True)
        at_input = (stop for stop in stops(failure.target.host.ask, asked) if stop.hook == "input" and stop.certain)
        if found := next(at_input, None):
            reason = "QEMU listens on the LAN, and the host's firewall drops what comes from there"
            return Obstacle(f"{reason} ({found.obstacle.reason})", found.obstacle.remedy)
    return None


def loopback_kept_out(failure: Failure) -> Obstacle | None:
    """What programs of this host send to a forwarded port by its loopback, and its own packet filter stops."""
    for listening in listening_sockets(failure.guest, failure.target.host) if failure.guest else ():
        protocol, _, place = listening.partition(" ")
        address, _, port = place.rpartition(":")
        if address not in ("0.0.0.0", _LOOPBACK):
            continue
        asked = PacketSeen(protocol.lower(), _LOOPBACK, _LOOPBACK, port=int(port), to_this_host=True)
        for hook, packet in (("output", asked.at(None, "lo")), ("input", asked.at("lo", None))):
            stopping = (stop for stop in stops(failure.target.host.ask, packet) if stop.hook == hook and stop.certain)
            if found := next(stopping, None):
                reason = f"QEMU listens at port {port}, and this host's own packet filter stops what is sent to it at"
                return Obstacle(f"{reason} {_LOOPBACK} ({found.obstacle.reason})", found.obstacle.remedy)
    return None


def forward_translated(failure: Failure) -> Obstacle | None:
    """What programs of this host send to a forwarded port, the host's own packet filter may send elsewhere."""
    if failure.guest is None or failure.on_lan:
        return None
    ruleset = nft_ruleset.read(failure.target.host.ask) or Ruleset()
    for listening in listening_sockets(failure.guest, failure.target.host):
        protocol, _, place = listening.partition(" ")
        address, _, port = place.rpartition(":")
        called = _LOOPBACK if address == "0.0.0.0" else address
        asked = PacketSeen(protocol.lower(), destination=called, port=int(port), leaving_by="lo", to_this_host=True)
        for rule, certain in ruleset.translating("output", asked):
            if certain:
                return Obstacle(
                    f"what this host sends to its own {protocol.upper()} port {asked.port}, which QEMU forwards, goes "
                    f"elsewhere by {rule.place}",
                    ruleset.spared(rule, f"{protocol.lower()} dport {port} fib daddr type local"),
                )
    return None


def ping_gate_open(failure: Failure) -> Obstacle | None:
    """The host lets QEMU's group open ping sockets, so that libslirp pings for the guest."""
    groups = {failure.bench.identity.gid, *failure.bench.identity.groups}
    with failure.bench.station.entered():
        if not gate_opens(groups):
            return None
    return Obstacle(
        f"{GATE} is {' '.join(failure.bench.station.sysctl(GATE).split())} and QEMU's group in it: the host pings for "
        "the guest",
        f'to close the gate: sudo sysctl -w {GATE}="1 0"',
    )


def nobody_answers_ping(failure: Failure) -> Obstacle | None:
    """What does not answer the host does not answer its guests."""
    address = failure.target.far_echo.address
    if ping(failure.bench.station, address, count=1).received:
        return None
    return Obstacle(
        f"{address} answers nobody's ping, the host's as little as the guest's", "ping an address that does"
    )


def expiry_untold(failure: Failure) -> Obstacle | None:
    """Traceroute lives by the errors of the routers on the way."""
    if expiry_is_told(failure.bench.station, failure.target.far_echo.address):
        return None
    return Obstacle(
        "the host is not told by ICMP what becomes of its packets, as when their time to live is over",
        _LET_ERRORS_PASS,
    )


def closed_port_untold(failure: Failure) -> Obstacle | None:
    """It ends where somebody says that nobody listens."""
    address = failure.target.far_echo.address
    if closed_port_is_told(failure.bench.station, address):
        return None
    return Obstacle(
        f"the host is not told by ICMP that nobody listens at a port of {address}, where the way ends",
        _LET_ERRORS_PASS,
    )
