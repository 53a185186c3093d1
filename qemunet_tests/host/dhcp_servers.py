"""Who waits for requests of DHCP clients on this host, and at which interface. Source: ss(8)."""

import re
from dataclasses import dataclass

from qemunet_tests.host.asking import Ask

PORT = 67
_LOCAL = re.compile(r"(?P<address>\S+?)(?:%(?P<link>\S+))?:67$")
_PROGRAM = re.compile(r'users:\(\("([^"]+)"')


@dataclass(frozen=True)
class DhcpListener:
    """`link` is the interface that the socket is bound to, None where it hears all; `program` where it may be known."""

    address: str
    link: str | None
    program: str | None

    def hears(self, link: str) -> bool:
        """Whether it may hear what clients on an interface ask."""
        return self.link in (None, link)

    def __str__(self) -> str:
        return f"{self.program or 'a program'} on {self.link or 'every interface'}"


def listeners(ask: Ask) -> tuple[DhcpListener, ...]:
    """Every socket at UDP port 67."""
    said = ask(["ss", "-Hulnp", f"sport = :{PORT}"]).text
    return tuple(found for line in said.splitlines() if (found := _listener(line)))


def _listener(line: str) -> DhcpListener | None:
    program = _PROGRAM.search(line)
    for word in line.split():
        if local := _LOCAL.match(word):
            return DhcpListener(local["address"], local["link"], program[1] if program else None)
    return None
