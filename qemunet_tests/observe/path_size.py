"""How large a packet may be to be answered."""

from qemunet_tests.guest.guest import Guest
from qemunet_tests.observe.reach import ping

#: IPv4 and ICMP. RFC 791: packets of 68 bytes pass everywhere.
HEADERS_BYTES, SMALLEST_BYTES = 28, 68
#: Close enough to be recognised.
EXACT_TO_BYTES = 4


def largest_answered(guest: Guest, address: str, below_bytes: int) -> int:
    """The size in bytes, IPv4 header included, of the largest ping that is answered; 0 where none is."""

    def passes(size_bytes: int) -> bool:
        return ping(guest, address, count=1, wait_seconds=1, size_bytes=size_bytes - HEADERS_BYTES).received == 1

    lowest, highest = SMALLEST_BYTES, below_bytes
    if not passes(lowest):
        return 0
    while highest - lowest > EXACT_TO_BYTES:
        middle = (lowest + highest) // 2
        lowest, highest = (middle, highest) if passes(middle) else (lowest, middle)
    return lowest
