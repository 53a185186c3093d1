"""resolv.conf as libslirp reads it, which is not how the C library does.

Source: get_dns_addr_resolv_conf() of libslirp: the first IPv4 `nameserver` and no other, a blank before the
word hides the line, lines are cut at 511 bytes. Port 53, no failover.
"""

import re
import socket
from dataclasses import dataclass
from pathlib import Path

from qemunet_tests.host.files import MACHINE, under

PATH = "/etc/resolv.conf"
_LINE_BYTES = 511
_NAMESERVER = re.compile(rb"nameserver[ \t]+\s*(\S{1,256})")


@dataclass(frozen=True)
class ResolverSettings:
    """`ipv4` and `ipv6` are every server libslirp could see, the first being the one it uses.

    `hidden` are lines that name a server to a reader but not to libslirp.
    """

    readable: bool
    ipv4: tuple[str, ...] = ()
    ipv6: tuple[str, ...] = ()
    hidden: tuple[str, ...] = ()

    @property
    def used(self) -> str | None:
        return next(iter(self.ipv4), None)


def read(root: Path = MACHINE) -> ResolverSettings:
    """The servers of the file, in order."""
    ipv4: list[str] = []
    ipv6: list[str] = []
    hidden: list[str] = []
    try:
        stream = under(root, PATH).open("rb")
    except OSError:
        return ResolverSettings(readable=False)
    with stream:
        while line := stream.readline(_LINE_BYTES):
            found = _NAMESERVER.match(line)
            if found is None:
                if line.lstrip().startswith(b"nameserver"):
                    hidden.append(line.decode(errors="replace").rstrip())
                continue
            address = found.group(1).decode(errors="replace").partition("%")[0]
            if _is_address(socket.AF_INET, address):
                ipv4.append(address)
            elif _is_address(socket.AF_INET6, address):
                ipv6.append(address)
            else:
                hidden.append(line.decode(errors="replace").rstrip())
    return ResolverSettings(True, tuple(ipv4), tuple(ipv6), tuple(hidden))


def _is_address(family: socket.AddressFamily, text: str) -> bool:
    try:
        socket.inet_pton(family, text)
    except (OSError, ValueError):
        return False
    return True
