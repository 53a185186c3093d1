"""What names mean, asked from a guest."""

import re
import socket

from qemunet_tests.harness.lab.station import Station
from qemunet_tests.observe.place import Place

ANSWER = re.compile(r"^Address(?: \d+)?:\s+(\d+\.\d+\.\d+\.\d+)\s*$", re.MULTILINE)


def addresses_of(place: Place, name: str, resolver: str = "") -> tuple[str, ...]:
    """The IPv4 addresses a resolver has for a name; the one in /etc/resolv.conf if none is given.

    Empty when there is no answer, whether for want of a server or of the name.
    """
    answer = place.run(f"nslookup -type=a {name} {resolver}", within_seconds=15)
    # Everything before the first Name: line is about the server itself.
    _, _, about_the_name = answer.text.partition("Name:")
    return tuple(ANSWER.findall(about_the_name)) if answer.succeeded else ()


def host_answers(station: Station, resolver: str, name: str, wait_seconds: float = 2.0) -> bool:
    """Whether a resolver answers a question of the host at all, whatever the answer."""
    from scapy.layers.dns import DNS, DNSQR

    question = bytes(DNS(rd=1, qd=DNSQR(qname=name)))
    with station.open_socket(socket.SOCK_DGRAM) as asking:
        asking.settimeout(wait_seconds)
        try:
            asking.connect((resolver, 53))
            asking.send(question)
            return bool(asking.recv(512))
        except OSError:
            return False
