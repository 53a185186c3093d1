"""What names mean, asked from a guest."""

import re
import secrets
import socket
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from qemunet_tests.guest.guest import Guest
from qemunet_tests.host import resolver
from qemunet_tests.host.resolver_query import ADDRESSES, IDENTIFIER_BYTES, NAME_SERVERS, OWN_TEXT, question
from qemunet_tests.isolation.identity import Identity
from qemunet_tests.isolation.script_of_user import run_as
from qemunet_tests.isolation.station import SOCKETS, Station
from qemunet_tests.network.target import Endpoint
from qemunet_tests.observe.command_place import GuestPlace
from qemunet_tests.timeouts import turns, whole

ANSWER = re.compile(r"^Address(?: \d+)?:\s+(\d+\.\d+\.\d+\.\d+)\s*$", re.MULTILINE)

PORT = 53
#: What fits into a message at all.
LARGEST_BYTES = 65535
#: RFC 1035, 4.2.2: by TCP a message follows its length.
LENGTH_BYTES = 2

#: RFC 1035, 4.1.1.
CODES = {0: "no address", 1: "FORMERR", 2: "SERVFAIL", 3: "NXDOMAIN", 4: "NOTIMP", 5: "REFUSED"}
#: By these a server says that it will not say anything, or cannot.
REFUSALS = ("FORMERR", "SERVFAIL", "NOTIMP", "REFUSED")
#: What any server answers that serves whoever asks: one that passes questions on the first, one with names of its own
#: alone the second.
ASKED_OF_ANY = ((".", NAME_SERVERS), ("version.bind", OWN_TEXT))


def addresses_of(guest: GuestPlace, name: str, server: str = "") -> tuple[str, ...]:
    """The IPv4 addresses a resolver has for a name; the one in /etc/resolv.conf if none is given.

    Empty when there is no answer, whether for want of a server or of the name.
    """
    answer = guest.run(guest.tools.resolve.format(name=name, server=server), within_seconds=15)
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


def names_in_words(answers: Mapping[str, Mapping[str, DnsAnswer | None]]) -> str:
    """For people: by protocol, where the answers by UDP and TCP are not the same."""
    if len(set(map(_listed, answers.values()))) == 1:
        return f"{_listed(next(iter(answers.values())))}, by {' and '.join(answers)}"
    return "; ".join(f"by {protocol} {_listed(answered)}" for protocol, answered in answers.items())


def _listed(answers: Mapping[str, DnsAnswer | None]) -> str:
    return ", ".join(f"{name} is {answer or 'not answered'}" for name, answer in answers.items())


def answers_user(station: Station, identity: Identity, server: str, name: str) -> bool:
    """Whether a resolver answers a question that a user puts from a station."""
    return run_as(station, identity, _ASK, server, _question(name, "UDP").hex()).succeeded


_ASK = """
import socket, sys
asking = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
asking.settimeout(3)
asking.connect((sys.argv[1], 53))
asking.send(bytes.fromhex(sys.argv[2]))
asking.recv(4096)
"""


def ask_from(
    station: Station,
    server: str,
    name: str,
    wait_seconds: float = 2.0,
    protocol: str = "UDP",
    about: tuple[int, int] = ADDRESSES,
) -> DnsAnswer | None:
    """What a resolver answers to a question from a station; None when it does not, asked twice."""
    for patience_seconds in turns(wait_seconds):
        with station.open_socket(SOCKETS[protocol]) as asking:
            asking.settimeout(patience_seconds)
            try:
                asking.connect((server, 53))
                asking.send(_question(name, protocol, about))
                if answer := _answer(received(asking, protocol)):
                    return answer
            except OSError:
                continue
    return None


def refusals(station: Station, server: str, names: Sequence[str], expected: Sequence[str]) -> dict[str, str]:
    """The names that a resolver refuses a station, with its code: any that it is expected to know, or all there are.

    One that refuses all of them may serve others: before that is held against it, it is asked for what every server
    knows, too.
    """
    said = _said_of_each(station, server, names)
    refused = {name: each.code for name, each in said.items() if each and each.code in REFUSALS}
    if known := {name: code for name, code in refused.items() if name in expected}:
        return known
    if not refused or len(refused) < len(said):
        return {}
    others = [ask_from(station, server, name, about=about) for name, about in ASKED_OF_ANY]
    # Who says nothing to these, because he is slow, say, has refused nothing.
    codes = {each.code for each in others if each}
    return refused if codes and codes.issubset(REFUSALS) else {}


def _said_of_each(station: Station, server: str, names: Sequence[str]) -> dict[str, DnsAnswer | None]:
    """What a resolver answers about each of several names, asked for all at once: one that is silent is waited for."""
    with ThreadPoolExecutor(max(1, len(names))) as at_once:
        return dict(zip(names, at_once.map(lambda name: ask_from(station, server, name), names), strict=True))


def host_answers(station: Station, server: str, name: str, wait_seconds: float = 2.0) -> bool:
    """Whether a resolver answers a question of a station at all, whatever the answer."""
    return ask_from(station, server, name, wait_seconds) is not None


def ask_in(guest: Guest, server: str, name: str, wait_seconds: int = 5, protocol: str = "UDP") -> DnsAnswer | None:
    """The same from inside a guest."""
    guest.put("/tmp/question", _question(name, protocol))
    # By TCP some hang up on who says that he has asked all he will.
    words = {"UDP": guest.tools.send_udp, "TCP": guest.tools.ask}[protocol]
    for patience_seconds in turns(wait_seconds):
        wait = whole(patience_seconds)
        # Nobody ends the conversation, so the answer is watched for.
        ask = f"{Endpoint(server, PORT).called_by(words, wait_seconds=wait)} </tmp/question >/tmp/answer 2>/dev/null &"
        enough = f"[ $(wc -c </tmp/answer) -gt {LENGTH_BYTES} ]"
        watch = f"n=0; until {enough} || [ $n = {wait * 10} ]; do n=$((n+1)); sleep 0.1; done"
        said = guest.run(f": >/tmp/answer; {ask} {watch}; cat /tmp/answer", wait + 5).stdout
        if answer := _answer(said[LENGTH_BYTES:] if protocol == "TCP" else said):
            return answer
    return None


def _question(name: str, protocol: str, about: tuple[int, int] = ADDRESSES) -> bytes:
    asked = question(name, secrets.token_bytes(IDENTIFIER_BYTES), about=about)
    return as_sent(asked, protocol)


def as_sent(message: bytes, protocol: str) -> bytes:
    """A message as it travels: by TCP behind its length."""
    return len(message).to_bytes(LENGTH_BYTES) + message if protocol == "TCP" else message


def received(asking: socket.socket, protocol: str) -> bytes:
    """The next message that comes to a socket. Raises OSError, TimeoutError included."""
    if protocol == "UDP":
        return asking.recv(LARGEST_BYTES)
    length = int.from_bytes(asking.recv(LENGTH_BYTES, socket.MSG_WAITALL))
    return asking.recv(length, socket.MSG_WAITALL)


def _answer(message: bytes) -> DnsAnswer | None:
    from scapy.layers.dns import DNS

    header_bytes, a_record = 12, 1
    if len(message) < header_bytes:
        return None
    said = DNS(message)
    records = [said.an[n] for n in range(said.ancount)] if said.ancount else []
    return DnsAnswer(
        CODES.get(said.rcode, f"response code {said.rcode}"),
        frozenset(str(record.rdata) for record in records if record.type == a_record),
    )
