"""Who answers ARP on a guest's wire."""

import re

from qemunet_tests.guest.guest import Guest
from qemunet_tests.timeouts import turns, whole

REPLY = re.compile(r"\[([0-9a-f:]{17})\]")


def answers_arp(guest: Guest, address: str, wait_seconds: int = 2) -> bool:
    """Whether anybody says that this address is his."""
    return any(_answers(guest, address, whole(seconds)) for seconds in turns(wait_seconds, again=False))


def _answers(guest: Guest, address: str, wait_seconds: int) -> bool:
    command = f"arping -f -c {wait_seconds} -w {wait_seconds} -I eth0 {address}"
    return guest.run(command, within_seconds=wait_seconds + 5).succeeded


def owners(guest: Guest, address: str, wait_seconds: int = 2) -> list[str]:
    """The MAC addresses of all others that say an address is theirs, asked without claiming it: RFC 5227, 2.1.1."""
    probe = f"arping -D -c {wait_seconds} -w {wait_seconds} -I eth0 {address}"
    return sorted(set(REPLY.findall(guest.run(probe, within_seconds=wait_seconds + 5).text)))
