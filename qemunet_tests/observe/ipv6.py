"""What routers announce on a guest's wire by IPv6."""

import ipaddress
import re

from qemunet_tests.guest.guest import Guest
from qemunet_tests.observe.capture import whole_capture

#: RFC 4861: the type of a router advertisement, the size of its fixed part, and its option for a prefix.
ADVERTISEMENT, FIXED_BYTES, PREFIX_OPTION = 134, 16, 3
ICMPV6, HEADER_BYTES = 58, 40
#: The type of a frame, and the version that a packet begins with; what follows in that byte is its class.
ETHERTYPE = re.compile(rb"\x86\xdd(?=[\x60-\x6f])")


def announced_prefixes(guest: Guest) -> list[str]:
    """The IPv6 networks that routers have announced there so far."""
    return sorted({prefix for frame in whole_capture(guest) for prefix in _prefixes(frame)})


def _prefixes(frame: bytes) -> list[str]:
    found_type = ETHERTYPE.search(frame)
    at = found_type.end() if found_type else len(frame)
    message = frame[at + HEADER_BYTES :]
    if len(message) < FIXED_BYTES or frame[at + 6] != ICMPV6 or message[0] != ADVERTISEMENT:
        return []
    found, options = [], message[FIXED_BYTES:]
    while len(options) >= 32 and options[1]:
        if options[0] == PREFIX_OPTION:
            found.append(f"{ipaddress.IPv6Address(options[16:32])}/{options[2]}")
        options = options[8 * options[1] :]
    return found
