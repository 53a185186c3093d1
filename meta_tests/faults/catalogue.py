"""The catalogue of host faults that the project was begun with, and what of it is not tried."""

from collections import defaultdict
from collections.abc import Iterable

from meta_tests.faults.fault import Fault

#: The numbers of its entries.
ENTRIES = tuple(f"F{number:02}" for number in range(1, 85) if number not in (29, 34, 36, 37, 39, 52, 55, 57, 71, 83))
NOT_TRIED = {
    "F25": "it harms the host's own link, about which nothing is claimed",
    "F42": "nothing is claimed about IPv6",
    "F45": "no guest of ours has a macvtap",
    "F46": "nothing is claimed about the host's IPv6",
    "F49": "no DHCP server of ours runs in the host's network",
    "F53": "nothing is claimed about IPv6",
    "F58": "throughput is judged from recordings: docs/throughput.md",
    "F64": "no guest of ours is behind passt",
    "F68": "no guest of ours has a stream backend",
    "F70": "taps come from the bridge helper",
    "F72": "taps come from the bridge helper",
    "F74": "guests are started without network scripts",
    "F76": "it takes a host with SELinux",
    "F79": "guests have a kernel of our choice",
    "F80": "guests have an image of our choice",
    "F81": "guests have an image of our choice",
    "F82": "deadlines grow with the accelerator's slowdown",
    "F84": "it is about what guests do with a network that works",
}


def by_number(faults: Iterable[Fault]) -> dict[str, list[str]]:
    """The names of the faults that are in the catalogue."""
    found = defaultdict(list)
    for fault in faults:
        if fault.catalogue:
            found[fault.catalogue].append(fault.name)
    return found
