"""Guests on this host's bridges, and the MAC addresses that their QEMUs were given.

QEMU gives the first NIC of every guest the same one. Two of them in one LAN get the same lease, and a ping passes
while bulk data stalls.
"""

import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

from qemunet_tests.host import process_table
from qemunet_tests.host.files import MACHINE

DEFAULT_MAC = "52:54:00:12:34:56"
_ON_A_LAN = ("bridge", "tap")


def guests_with(mac: str, beside: int | str = "self", root: Path = MACHINE) -> tuple[int, ...]:
    """The QEMUs whose guest has this MAC on a bridge or a tap, as far as they may be seen.

    Only those in the network namespace of the process `beside`: elsewhere it does no harm.
    """
    here = process_table.network(beside, root)
    found = (pid for pid in process_table.pids(root) if gives(mac, process_table.words(pid, root)))
    return tuple(pid for pid in found if here is not None and process_table.network(pid, root) == here)


def gives(mac: str, words: list[str]) -> bool:
    """Whether these are the words of a QEMU with a bridged guest of this MAC, by its own or by QEMU's choice."""
    if not words or not re.search(r"qemu|kvm", words[0].rpartition("/")[2]):
        return False
    options = list(pairwise(words))
    bridged = {_value(given, "id") for option, given in options if option == "-netdev" and _is_on_a_lan(given)}
    return any(_has(mac, given, bridged) for option, given in options if option in ("-device", "-nic"))


def _has(mac: str, given: str, bridged: set[str | None]) -> bool:
    backend = _value(given, "netdev")
    concerned = _is_on_a_lan(given) or (backend is not None and backend in bridged)
    return concerned and (_value(given, "mac") or DEFAULT_MAC).lower() == mac.lower()


def _is_on_a_lan(given: str) -> bool:
    return given.partition(",")[0] in _ON_A_LAN


def _value(given: str, key: str) -> str | None:
    pairs: Iterator[tuple[str, str, str]] = (part.partition("=") for part in given.split(","))
    return next((value for name, _, value in pairs if name == key), None)
