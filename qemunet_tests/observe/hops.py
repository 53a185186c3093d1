"""The way to an address as traceroute shows it."""

import re

from qemunet_tests.observe.place import Place

HOP = re.compile(r"^\s*\d+\s+(\S+)", re.MULTILINE)
#: traceroute's option for each protocol it can send its probes by.
PROBES = {"udp": "", "icmp": "-I", "tcp": "-T"}
MOST_HOPS = 6


def hops(place: Place, address: str, probe: str = "udp", wait_seconds: int = 1) -> tuple[str, ...]:
    """The addresses that answered a probe each, nearest first; `*` for a hop where nobody did."""
    command = f"traceroute -n -q 1 -w {wait_seconds} -m {MOST_HOPS} {PROBES[probe]} {address}"
    answer = place.run(command, within_seconds=MOST_HOPS * wait_seconds + 5)
    return tuple(HOP.findall(answer.text.partition("\n")[2]))
