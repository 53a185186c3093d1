"""What a host's kernel has thrown away, by its own counters: it knows of causes that nobody has thought of.

Source: the kernel's Documentation/networking/snmp_counter.rst and xfrm_proc.rst, and nf_conntrack(5) for
/proc/net/stat.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from qemunet_tests.isolation.station import Station

#: Groups of /proc/net/snmp and netstat, and what is counted there of packets that get no further.
LOST = {
    "Ip": ("InHdrErrors", "InAddrErrors", "InUnknownProtos", "InDiscards", "OutDiscards", "OutNoRoutes", "FragFails"),
    "IpExt": ("InNoRoutes", "InTruncatedPkts", "InCsumErrors"),
    "Icmp": ("InErrors", "InCsumErrors"),
    "Udp": ("InErrors", "RcvbufErrors", "SndbufErrors", "InCsumErrors"),
    "Tcp": ("InErrs", "InCsumErrors"),
    "TcpExt": ("IPReversePathFilter", "ListenOverflows", "ListenDrops", "TCPBacklogDrop", "PFMemallocDrop", "ArpFilter",
               "TCPRcvQDrop", "TCPZeroWindowDrop", "TCPMD5Failure", "LockDroppedIcmps"),
}  # fmt: skip
#: What ICMP said that something was lost, behind all filters: by whom it is for or not.
ERRORS_TAKEN = {"Icmp": ("InDestUnreachs", "InTimeExcds")}
STATISTICS = {"nf_conntrack": ("drop", "early_drop", "insert_failed"), "arp_cache": ("table_fulls",)}
LINK_COUNTERS = ("rx_dropped", "tx_dropped", "rx_errors", "tx_errors", "rx_nohandler")


@dataclass(frozen=True)
class Drop:
    """A counter, by its kernel's name, and how much it has risen."""

    counter: str
    times: int

    def __str__(self) -> str:
        return f"{self.counter} {self.times}"


def counters(station: Station, links: Sequence[str]) -> dict[str, int]:
    """Every counter of losses of a station and of these links of it, as they stand now."""
    with station.entered():
        folder = Path("/proc/thread-self/net")
        found = {**_of_protocols(folder / "snmp", LOST), **_of_protocols(folder / "netstat", LOST)}
        for name, columns in STATISTICS.items():
            found.update(_of_processors(folder / "stat" / name, columns))
        found.update(_of_ipsec(folder / "xfrm_stat"))
        for link in links:
            found.update(_of_link(link))
    return found


def errors_taken(station: Station) -> int:
    """How many errors of ICMP the kernel of a station has taken so far: what a filter drops is not among them."""
    with station.entered():
        return sum(_of_protocols(Path("/proc/thread-self/net/snmp"), ERRORS_TAKEN).values())


def risen(before: Mapping[str, int], after: Mapping[str, int]) -> tuple[Drop, ...]:
    """What was thrown away in between."""
    more = {name: count - before.get(name, 0) for name, count in after.items()}
    return tuple(Drop(name, times) for name, times in more.items() if times > 0)


def _of_protocols(file: Path, wanted: Mapping[str, Sequence[str]]) -> dict[str, int]:
    """Two lines for each protocol: the names, the numbers."""
    lines = [line.split() for line in _lines(file)]
    found = {}
    for names, numbers in zip(lines[::2], lines[1::2], strict=False):
        group = names[0].rstrip(":")
        told = dict(zip(names[1:], numbers[1:], strict=False))
        found.update({f"{group}.{name}": int(told[name]) for name in wanted.get(group, ()) if name in told})
    return found


def _of_processors(file: Path, columns: Sequence[str]) -> dict[str, int]:
    """A line of names, and a line of hexadecimal numbers for each processor."""
    names, *rows = [line.split() for line in _lines(file)] or [[]]
    places = {column: names.index(column) for column in columns if column in names}
    return {f"{file.name}.{column}": sum(int(row[at], 16) for row in rows) for column, at in places.items()}


def _of_ipsec(file: Path) -> dict[str, int]:
    """A line for each error: its name, its number."""
    return {words[0]: int(words[1]) for line in _lines(file) if len(words := line.split()) == 2}


def _of_link(link: str) -> dict[str, int]:
    folder = Path("/sys/class/net", link, "statistics")
    return {f"{link}.{name}": int(lines[0]) for name in LINK_COUNTERS if (lines := _lines(folder / name))}


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text().splitlines()
    except OSError:  # a kernel without it, or an interface that is gone
        return []
