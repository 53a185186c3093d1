"""What names mean to the programs of a host, which ask more than the one resolver that QEMU asks, and who told them.

Sources: getent(1), hosts(5), nsswitch.conf(5), resolv.conf(5).
"""

from dataclasses import dataclass

from qemunet_tests.host import resolver
from qemunet_tests.host.files import MACHINE, read_text
from qemunet_tests.host.localhost import PATH as HOSTS_FILE
from qemunet_tests.host.localhost import names_of
from qemunet_tests.isolation.station import Station
from qemunet_tests.observe.dns import DnsAnswer, ask_from

_SWITCH = "/etc/nsswitch.conf"


@dataclass(frozen=True)
class KnownOtherwise:
    """A name, its IPv4 addresses as the host's programs have them, and from where; `told` is what its guests get.

    `asked` is the resolver that told the programs, where it was one of resolv.conf.
    """

    name: str
    addresses: tuple[str, ...]
    source: str
    told: str
    asked: str | None = None

    def __str__(self) -> str:
        own = f"{self.name} is {' and '.join(self.addresses)} to this host's own programs, by {self.source}"
        return f"{own}, and {self.told} to its guests"


def known_to_programs(station: Station, name: str, database: str = "ahostsv4") -> tuple[str, ...]:
    """The addresses that programs of a station get for a name, in their order; those of IPv6, too, by `ahosts`."""
    said = station.ask(["timeout", "5", "getent", database, name]).text.splitlines()
    return tuple(dict.fromkeys(line.split()[0] for line in said if line.strip()))


def known_otherwise(station: Station, server: str, name: str, told: DnsAnswer | None) -> KnownOtherwise | None:
    """Whether a station's programs know a name by other addresses than `server` has told; None where they do not.

    A server may tell other addresses each time. So where it has told any, somebody else has to be seen to tell others.
    """
    known = known_to_programs(station, name)
    if not known or (told and told.addresses & {*known}):
        return None
    so_far = str(told) if told else "not answered"
    if any(name.rstrip(".") in names and address in known for address, names in names_of(MACHINE)):
        return KnownOtherwise(name, known, HOSTS_FILE, so_far)
    for other in resolver.read().ipv4:
        answer = ask_from(station, other, name, wait_seconds=1.0) if other != server else None
        if answer and answer.addresses & {*known}:
            return KnownOtherwise(name, known, f"the resolver {other}", so_far, asked=other)
    return None if told and told.addresses else KnownOtherwise(name, known, _by_switch(), so_far)


def _by_switch() -> str:
    lines = (read_text(MACHINE, _SWITCH) or "").splitlines()
    asked = next((" ".join(line.split()) for line in lines if line.startswith("hosts:")), "hosts: files dns")
    return f"one of those that {_SWITCH} names ({asked})"
