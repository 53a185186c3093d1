"""What names mean, asked from a guest."""

import re
import secrets
import socket
from collections.abc import Mapping
from dataclasses import dataclass

from qemunet_tests.guest.guest import Guest
from qemunet_tests.host import resolver
from qemunet_tests.isolation.identity import Identity
from qemunet_tests.isolation.station import Station
from qemunet_tests.observe.command_place import Place
from qemunet_tests.timeouts import turns, whole

ANSWER = re.compile(r"^Address(?: \d+)?:\s+(\d+\.\d+\.\d+\.\d+)\s*$", re.MULTILINE)

#: RFC 1035, 4.1.1.
CODES = {0: "no address", 1: "FORMERR", 2: "SERVFAIL", 3: "NXDOMAIN", 4: "NOTIMP", 5: "REFUSED"}


def addresses_of(place: Place, name: str, server: str = "") -> tuple[str, ...]:
    """The IPv4 addresses a resolver has for a name; the one in /etc/resolv.conf if none is given.

    Empty when there is no answer, whether for want of a server or of the name.
    """
    answer = place.run(f"nslookup -type=a {name} {server}", within_seconds=15)
    # Everything before the first Name: line is about the server itself.
    _, _, about_the_name = answer.text.partition("Name:")
    return tuple(ANSWER.findall(about_the_name)) if answer.succeeded else ()


@dataclass(frozen=True)
class DnsAnswer:
    """A resolver's answer to one question: its response code and the IPv4 addresses, in no order."""

    code: str
    addresses: frozenset[str]

    def __str__(self) -> str:
        return " ".join(sorted(self.addresses)) or self.code


def used_by_qemu() -> str:
    """The resolver that libslirp asks: without an IPv4 one in resolv.conf, whatever is on the loopback."""
    return resolver.read().used or "127.0.0.1"


def told(answers: Mapping[str, DnsAnswer | None]) -> str:
    """For people."""
    return ", ".join(f"{name} is {answer or 'not answered'}" for name, answer in answers.items())


def answers_user(station: Station, identity: Identity, server: str, name: str) -> bool:
    """Whether a resolver answers a question that a user puts from a station."""
    asking = [*identity.prefix(), "python3", "-I", "-c", _ASK, server, _question(name).hex()]
    return station.ask(asking).succeeded


_ASK = """
import socket, sys
asking = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
asking.settimeout(3)
asking.connect((sys.argv[1], 53))
asking.send(bytes.fromhex(sys.argv[2]))
asking.recv(4096)
"""


def ask_from(station: Station, server: str, name: str, wait_seconds: float = 2.0) -> DnsAnswer | None:
    """What a resolver answers to a question from a station; None when it does not, asked twice."""
    with station.open_socket(socket.SOCK_DGRAM) as asking:
        for patience_seconds in turns(wait_seconds):
            asking.settimeout(patience_seconds)
            try:
                asking.connect((server, 53))
                asking.send(_question(name))
                return _answer(asking.recv(4096))
            except OSError:
                continue
    return None


def host_answers(station: Station, server: str, name: str, wait_seconds: float = 2.0) -> bool:
    """Whether a resolver answers a question of a station at all, whatever the answer."""
    return ask_from(station, server, name, wait_seconds) is not None


def ask_in(guest: Guest, server: str, name: str, wait_seconds: int = 5) -> DnsAnswer | None:
    """The same from inside a guest."""
    guest.put("/tmp/question", _question(name))
    for patience_seconds in turns(wait_seconds):
        wait = whole(patience_seconds)
        # UDP knows no end of a conversation, so the answer is watched for.
        ask = f"socat -t {wait} - UDP4:{server}:53 </tmp/question >/tmp/answer 2>/dev/null &"
        watch = f"n=0; until [ -s /tmp/answer ] || [ $n = {wait * 10} ]; do n=$((n+1)); sleep 0.1; done"
        said = guest.run(f": >/tmp/answer; {ask} {watch}; cat /tmp/answer", wait + 5).stdout
        if answer := _answer(said):
            return answer
    return None


def _question(name: str) -> bytes:
    from scapy.layers.dns import DNS, DNSQR

    return bytes(DNS(id=secrets.randbits(16), rd=1, qd=DNSQR(qname=name)))


def _answer(datagram: bytes) -> DnsAnswer | None:
    from scapy.layers.dns import DNS

    header_bytes, a_record = 12, 1
    if len(datagram) < header_bytes:
        return None
    said = DNS(datagram)
    records = [said.an[n] for n in range(said.ancount)] if said.ancount else []
    return DnsAnswer(
        CODES.get(said.rcode, f"response code {said.rcode}"),
        frozenset(str(record.rdata) for record in records if record.type == a_record),
    )
