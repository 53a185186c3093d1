"""What routers announce on a guest's wire by IPv6, and the addresses that a guest makes itself of it."""

import ipaddress
import re

from qemunet_tests.guest.guest import Guest
from qemunet_tests.observe.capture import whole_capture
from qemunet_tests.timeouts import turns, whole

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


#: What ip(8) says of an address that is in use. Before that it is tentative: whether somebody else has it is found out.
ADDRESS = re.compile(r"inet6 (\S+) scope (?:site|global) (?!.*tentative)")


def made_addresses(guest: Guest, wait_seconds: int = 5) -> list[str]:
    """The guest's addresses with their prefixes that are of more than its link, waited for."""
    found: list[str] = []
    for patience_seconds in turns(wait_seconds, again=False):
        show = "ip -6 addr show dev eth0"
        enough = f"{show} | grep 'scope [sg]' | grep -qv tentative || [ $n = {10 * whole(patience_seconds)} ]"
        said = guest.run(f"n=0; until {enough}; do n=$((n+1)); sleep 0.1; done; {show}", whole(patience_seconds) + 5)
        found = ADDRESS.findall(said.text)
        if found:
            break
    return found


def address_of_mac(prefix: str, mac: str) -> str:
    """What a machine with a MAC makes itself of a prefix: RFC 4862, 5.5.3, and RFC 4291, A."""
    octets = bytes.fromhex(mac.replace(":", ""))
    identifier = bytes([octets[0] ^ 0x02]) + octets[1:3] + b"\xff\xfe" + octets[3:]
    network = ipaddress.IPv6Network(prefix)
    return f"{ipaddress.IPv6Address(network.network_address.packed[:8] + identifier)}/{network.prefixlen}"
