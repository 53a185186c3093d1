"""Who answers ARP on a guest's wire."""

from qemunet_tests.harness.guest import Guest


def answers_arp(guest: Guest, address: str, wait_seconds: int = 2) -> bool:
    """Whether anybody says that this address is his."""
    command = f"arping -f -c {wait_seconds} -w {wait_seconds} -I eth0 {address}"
    return guest.run(command, within_seconds=wait_seconds + 5).succeeded
