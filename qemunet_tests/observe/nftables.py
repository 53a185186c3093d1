"""A station's packet filter as nft(8) lists it, chain by chain."""

import re
from dataclasses import dataclass

from qemunet_tests.isolation.station import Station

TABLE = re.compile(r"^table (?P<family>\w+) (?P<name>\S+) {[^\n]*\n(?P<body>.*?)^}", re.MULTILINE | re.DOTALL)
CHAIN = re.compile(r"^\tchain (?P<name>\S+) {[^\n]*\n(?P<lines>.*?)^\t}", re.MULTILINE | re.DOTALL)
BASE = re.compile(r"^type \w+ hook (?P<hook>\w+)(?: devices? = ?(?P<devices>{[^}]*}|\S+)| device (?P<device>\S+))?")
POLICY_DROP = re.compile(r"policy drop;")
STOPS = re.compile(r"\b(drop|reject|queue)\b")
HANDLE = re.compile(r"^(?P<rule>.*?)\s*# handle (?P<number>\d+)$")


@dataclass(frozen=True)
class Stop:
    """A rule or policy that stops packets. `hook` is None in a chain that only others jump to.

    `remedy` is the command that takes it away.
    """

    family: str
    hook: str | None
    devices: frozenset[str]
    place: str
    remedy: str

    def concerns(self, link: str) -> bool:
        """Whether it stands at this link; one that names no device stands at every link."""
        return not self.devices or link in self.devices


def stops(station: Station) -> list[Stop]:
    """All that stops anything; none where nft is missing or is not permitted to us."""
    listing = station.run("nft -a list ruleset").text
    return [
        stop
        for table in TABLE.finditer(listing + "\n")
        for chain in CHAIN.finditer(table["body"])
        for stop in _in_chain(table["family"], table["name"], chain["name"], chain["lines"].splitlines())
    ]


def _in_chain(family: str, table: str, chain: str, lines: list[str]) -> list[Stop]:
    words = [line.strip() for line in lines]
    base = next((match for line in words if (match := BASE.match(line))), None)
    devices = frozenset(re.findall(r'"([^"]+)"', (base["devices"] or base["device"] or "") if base else ""))
    where = f"table {family} {table}, chain {chain}"
    found = []
    for line in words:
        if BASE.match(line):
            if POLICY_DROP.search(line):
                remedy = f"sudo nft 'chain {family} {table} {chain} {{ policy accept; }}'"
                found.append((line, remedy))
        elif STOPS.search(line) and (handled := HANDLE.match(line)):
            found.append((handled["rule"], f"sudo nft delete rule {family} {table} {chain} handle {handled['number']}"))
    hook = base["hook"] if base else None
    return [Stop(family, hook, devices, f"{where}: {line}", remedy) for line, remedy in found]
