"""Echo replies on a guest's wire, whatever ping(1) makes of them."""

import socket

from qemunet_tests.guest.guest import Guest
from qemunet_tests.observe.lease import lease
from qemunet_tests.timeouts import turns, whole

ECHO_REPLY = 0


def comes_back(guest: Guest, address: str, wait_seconds: int = 1) -> bool:
    """Whether an echo reply that bears an address as its source comes back to a guest that pings it.

    Its content may be so wrong that ping(1) waits for ever, or counts nonsense.
    """
    for patience_seconds in turns(wait_seconds, again=False):
        wait = whole(patience_seconds)
        guest.run(f"timeout {wait} ping -n -c 1 {address}", within_seconds=wait + 5)
        if ECHO_REPLY in _icmp_types(guest, address):
            return True
    return False


def _icmp_types(guest: Guest, source: str) -> set[int]:
    """The types of ICMP messages from an address, found by both addresses of their header.

    QEMU before 8.0 writes the virtio header in front of every frame, so there is no fixed place to look at.
    """
    got = lease(guest, within_seconds=0.0)
    addresses = socket.inet_aton(source) + socket.inet_aton(got.address if got else "0.0.0.0")
    capture = (guest.folder / "net0.pcap").read_bytes()
    # The addresses end the IP header, and the type is the first byte of what follows.
    return {after[0] for after in capture.split(addresses)[1:] if after}
