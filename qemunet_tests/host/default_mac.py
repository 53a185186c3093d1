"""Guests of others on this host's network that were given no MAC address of their own.

QEMU gives the first NIC of every guest the same one. Two of them in one LAN get the same lease, and a ping passes
while bulk data stalls.
"""

import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

from qemunet_tests.host.files import MACHINE, names_in, read_bytes, under

DEFAULT_MAC = "52:54:00:12:34:56"
_ON_A_LAN = ("bridge", "tap")


def with_default_mac(root: Path = MACHINE) -> tuple[int, ...]:
    """The processes in our network namespace, as far as they may be seen, whose guest has it on a bridge or a tap."""
    return tuple(
        int(pid)
        for pid in names_in(root, "/proc")
        if pid.isdigit() and has_default_mac(_words(root, pid)) and _network(root, pid) == _network(root, "self")
    )


def has_default_mac(words: list[str]) -> bool:
    """Whether these are the words of a QEMU whose bridged guest has the MAC that QEMU gives by default."""
    if not words or not re.search(r"qemu|kvm", words[0].rpartition("/")[2]):
        return False
    options = list(pairwise(words))
    bridged = {_value(given, "id") for option, given in options if option == "-netdev" and _is_on_a_lan(given)}
    return any(_is_default(given, bridged) for option, given in options if option in ("-device", "-nic"))


def _is_default(given: str, bridged: set[str | None]) -> bool:
    backend = _value(given, "netdev")
    concerned = _is_on_a_lan(given) or (backend is not None and backend in bridged)
    return concerned and (_value(given, "mac") or DEFAULT_MAC).lower() == DEFAULT_MAC


def _is_on_a_lan(given: str) -> bool:
    return given.partition(",")[0] in _ON_A_LAN


def _value(given: str, key: str) -> str | None:
    pairs: Iterator[tuple[str, str, str]] = (part.partition("=") for part in given.split(","))
    return next((value for name, _, value in pairs if name == key), None)


def _words(root: Path, pid: str) -> list[str]:
    return (read_bytes(root, f"/proc/{pid}/cmdline") or b"").decode(errors="replace").rstrip("\0").split("\0")


def _network(root: Path, pid: str) -> str | None:
    try:
        return str(under(root, f"/proc/{pid}/ns/net").readlink())
    except OSError:
        return None
