"""How an image spells what its guest is told to do.

An observer says what is to be done and with which values, the image says the words of its guest's shell. What POSIX,
coreutils and iproute2 say alike everywhere, `timeout` or `ip -o addr`, is no matter of an image.
"""

from string import Formatter
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, StringConstraints

#: Of a service its words take what they like: `host` is the address as it stands before a port, `version` that of IP.
SERVICE = frozenset({"address", "host", "port", "version"})


class _Takes:
    """Requires words to take all these values, and no others."""

    def __init__(self, *values: str, service: bool = False) -> None:
        self._values, self._may = set(values), SERVICE if service else frozenset()

    def __call__(self, words: str) -> str:
        taken = {name: spec or conversion for _, name, spec, conversion in Formatter().parse(words) if name is not None}
        if missing := self._values - taken.keys():
            raise ValueError(f"{words!r} does not take {{{min(missing)}}}")
        if unknown := taken.keys() - (known := self._values | self._may):
            raise ValueError(f"{{{min(unknown)}}} in {words!r} is none of {', '.join(sorted(known)) or 'no values'}")
        if any(taken.values()):
            raise ValueError(f"{words!r} formats a value, which is put in as it is")
        return words


_Line = Annotated[str, StringConstraints(pattern=r"^[\x20-\x7e]{1,500}$")]
_Plain = Annotated[_Line, AfterValidator(_Takes())]
_Call = Annotated[_Line, AfterValidator(_Takes("wait_seconds", service=True))]
_Trace = Annotated[_Line, AfterValidator(_Takes("wait_seconds", "most_hops", "address"))]
_Say = Annotated[_Line, AfterValidator(_Takes("port", "word"))]
_Arp = Annotated[_Line, AfterValidator(_Takes("wait_seconds", "interface", "address"))]


class GuestTools(BaseModel):
    """One shell command each, with a name in braces for every value it is given; `{{` is a brace for the shell.

    Whole numbers are seconds and bytes. What has to come of them:

    `ping`: the summary of ping(8), `N packets transmitted, N received`. `traceroute_*`, by what the probes are: the
    lines of traceroute(8), behind one line. `resolve`: the addresses as nslookup(1) says them; without `server` by the
    resolver of the lease. `who_has`: status 0 once somebody says that an address is his. `who_else_has`: asked as
    RFC 5227 does, the MAC of everybody who answers in brackets. `request_lease`: one client's question beside the
    guest's own. `lease_questions`: how often the guest's own client has asked, a number.

    `send_*`: sends standard input and prints what comes back until it has waited so long. `exchange`: the same by TCP
    for much data. `ask`: by TCP, without saying that all is said. `connect`, and `connect_from` a port of its own:
    status 0 where a TCP connection opens, else the reason as connect(2) has it, last behind a colon. `say_*`: serves
    everybody who comes with a word. `echo`: returns by TCP what it is sent. `send_packet`: a file as an IPv4 packet of
    that protocol. `hear_packets`: what comes in by it, into a file.

    `await_leases`: ends when all NICs have their lease, or after 10 s. `release_leases`: ends when all are given back,
    or after 2 s. `network_up`, `network_down`: interfaces with their DHCP clients. `load_drivers`: those of the
    devices that are there by now. `settle`: ends when nothing of the boot is left to be done.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    ping: Annotated[_Line, AfterValidator(_Takes("count", "interval_seconds", "wait_seconds", "size_bytes", "address"))]
    traceroute_udp: _Trace
    traceroute_icmp: _Trace
    traceroute_tcp: _Trace
    resolve: Annotated[_Line, AfterValidator(_Takes("name", "server"))]
    who_has: _Arp
    who_else_has: _Arp
    request_lease: Annotated[_Line, AfterValidator(_Takes("wait_seconds", "interface"))]
    lease_questions: Annotated[_Line, AfterValidator(_Takes("interface"))]
    send_tcp: _Call
    send_udp: _Call
    exchange: _Call
    ask: _Call
    connect: _Call
    connect_from: Annotated[_Line, AfterValidator(_Takes("wait_seconds", "own_port", service=True))]
    say_tcp: _Say
    say_udp: _Say
    echo: Annotated[_Line, AfterValidator(_Takes("port"))]
    send_packet: Annotated[_Line, AfterValidator(_Takes("file", "address", "number"))]
    hear_packets: Annotated[_Line, AfterValidator(_Takes("file", "number"))]
    await_leases: _Plain
    release_leases: _Plain
    network_up: _Plain
    network_down: _Plain
    load_drivers: _Plain
    settle: Annotated[_Line, AfterValidator(_Takes("limit_seconds"))]
