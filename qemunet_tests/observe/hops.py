"""The way to an address as traceroute shows it."""

import re
import socket

from qemunet_tests.isolation.station import Station
from qemunet_tests.observe.command_place import Place
from qemunet_tests.timeouts import turns, whole

HOP = re.compile(r"^\s*\d+\s+(\S+)", re.MULTILINE)
#: traceroute's option for each protocol it can send its probes by.
PROBES = {"udp": "", "icmp": "-I", "tcp": "-T"}
MOST_HOPS = 6
SILENT = "*"


def hops(place: Place, address: str, probe: str = "udp", wait_seconds: int = 1) -> tuple[str, ...]:
    """The addresses that answered a probe each, nearest first; `*` for a hop where nobody did.

    Linux reports such errors to an address once a second, after a burst of six (icmp(7), icmp_ratelimit): so probes go
    one by one, and once more where somebody was silent.
    """
    found: tuple[str, ...] = ()
    for patience_seconds in turns(wait_seconds):
        wait = whole(patience_seconds)
        command = f"traceroute -n -q 1 -N 1 -w {wait} -m {MOST_HOPS} {PROBES[probe]} {address}"
        answer = place.run(command, within_seconds=MOST_HOPS * wait + 5)
        found = tuple(HOP.findall(answer.text.partition("\n")[2]))
        if SILENT not in found:
            break
    return found


def expiry_is_told(station: Station, address: str, wait_seconds: float = 1.0) -> bool:
    """Whether a router tells a station that the time to live of its packet to an address is over."""
    return any(_is_told(station, address, patience_seconds) for patience_seconds in turns(wait_seconds))


def _is_told(station: Station, address: str, wait_seconds: float) -> bool:
    # ip(7); the socket module has no name for it before Python 3.14.
    ip_recverr, udp_port_of_traceroute = 11, 33434
    with station.open_socket(socket.SOCK_DGRAM) as probe:
        probe.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, 1)
        probe.setsockopt(socket.IPPROTO_IP, ip_recverr, 1)
        probe.settimeout(wait_seconds)
        try:
            probe.connect((address, udp_port_of_traceroute))
            probe.send(b"?")
            probe.recv(1)
        except TimeoutError:
            return False
        except OSError:
            return True
    return False
