"""The packet filter of a network namespace, chain by chain, as nft(8) lists it: in words for people, in JSON for us.

Sources: nft(8), libnftables-json(5). Only who has CAP_NET_ADMIN there is told.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from qemunet_tests.host.asking import Ask
from qemunet_tests.host.nft_match import PacketSeen, covers, resolved
from qemunet_tests.host.obstacle import Obstacle

_TABLE = re.compile(r"^table (?P<family>\w+) (?P<name>\S+) {[^\n]*\n(?P<body>.*?)^}", re.MULTILINE | re.DOTALL)
_CHAIN = re.compile(r"^\tchain (?P<name>\S+) {[^\n]*\n(?P<lines>.*?)^\t}", re.MULTILINE | re.DOTALL)
_BASE = re.compile(
    r"^type (?P<kind>\w+) hook (?P<hook>\w+)(?: devices? = ?(?P<devices>{[^}]*}|\S+)| device (?P<device>\S+))?"
)
_HANDLE = re.compile(r"^(?P<rule>.*?)\s*# handle (?P<number>\d+)$")
_STOPPING = ("drop", "reject", "queue")
_TRANSLATING = ("dnat", "redirect", "tproxy")
_Expression = tuple[dict[str, Any], ...]


@dataclass(frozen=True)
class NftChain:
    """`hook` is None where only others jump to it; then `kind` and `policy` are, too. `base` is how nft spells it."""

    family: str
    table: str
    name: str
    kind: str | None = None
    hook: str | None = None
    devices: frozenset[str] = frozenset()
    base: str = ""

    @property
    def place(self) -> str:
        return f"table {self.family} {self.table}, chain {self.name}"

    @property
    def drops(self) -> bool:
        """Whether what no rule decides about is dropped."""
        return "policy drop;" in self.base


@dataclass(frozen=True)
class NftRule:
    """`words` is the rule as nft prints it; `expression` as libnftables-json(5) has it, empty where not known."""

    chain: NftChain
    handle: int
    words: str
    expression: _Expression = ()

    @cached_property
    def does(self) -> frozenset[str]:
        """The statements in it, those of a map of verdicts included; by its words where it is known by these alone."""
        said = frozenset(_statements(self.expression))
        # What iptables wrote is not always in JSON.
        return said | frozenset(re.findall(r"[a-z]+", self.words)) if not said or "xt" in said else said

    def does_to(self, packet: PacketSeen) -> frozenset[str]:
        """The statements that may become of a packet: of a map of verdicts only those that are its."""
        return frozenset(_statements([resolved(part, packet) for part in self.expression])) or self.does

    @property
    def sends_elsewhere(self) -> bool:
        """Whether it gives packets another destination."""
        return not self.does.isdisjoint(_TRANSLATING)

    @property
    def targets(self) -> frozenset[str]:
        """The chains that it sends packets through."""
        return frozenset(re.findall(r"\b(?:jump|goto) ([^\s,}]+)", self.words))

    def covers(self, packet: PacketSeen) -> bool | None:
        """Whether it is about a packet; None where that cannot be told."""
        return covers(self.expression, packet)

    @property
    def obstacle(self) -> Obstacle:
        chain = self.chain
        remedy = f"sudo nft delete rule {chain.family} {chain.table} {chain.name} handle {self.handle}"
        return Obstacle(f"{chain.place}: {self.words}", remedy)


@dataclass(frozen=True)
class Stop:
    """A rule or policy that stops packets, and what takes it away. `hook` is None in a chain that others jump to."""

    chain: NftChain
    obstacle: Obstacle

    @property
    def family(self) -> str:
        return self.chain.family

    @property
    def hook(self) -> str | None:
        return self.chain.hook

    def concerns(self, link: str) -> bool:
        """Whether it stands at this link; one that names no device stands at every link."""
        return not self.chain.devices or link in self.chain.devices


@dataclass(frozen=True)
class Ruleset:
    """All chains and rules, in the order in which they are listed."""

    chains: tuple[NftChain, ...] = ()
    rules: tuple[NftRule, ...] = ()

    def stops(self, packet: PacketSeen | None = None) -> list[Stop]:
        """All that stops anything: of each chain its policy, then its rules.

        With a packet, of each chain what may stop that: nothing behind a rule that accepts it, and no policy then.
        """
        return [stop for chain in self.chains for stop in self._in_chain(chain, packet)]

    def _in_chain(self, chain: NftChain, packet: PacketSeen | None) -> list[Stop]:
        remedy = f"sudo nft 'chain {chain.family} {chain.table} {chain.name} {{ policy accept; }}'"
        policy = [Stop(chain, Obstacle(f"{chain.place}: {chain.base}", remedy))] if chain.drops else []
        found: list[Stop] = []
        for rule in (each for each in self.rules if each.chain == chain):
            about, does = (rule.covers(packet), rule.does_to(packet)) if packet else (None, rule.does)
            if about and "accept" in does:
                return found
            if about is not False and not does.isdisjoint(_STOPPING):
                found.append(Stop(chain, rule.obstacle))
        return [*found, *policy] if packet else [*policy, *found]

    def translating(self, hook: str, packet: PacketSeen) -> list[NftRule]:
        """The rules at a hook that give a packet another destination, or may."""
        hooked = (chain for chain in self.chains if chain.hook == hook)
        return [rule for chain in hooked for rule in self._met(chain, packet) if rule.sends_elsewhere]

    def _met(self, chain: NftChain, packet: PacketSeen, above: tuple[NftChain, ...] = ()) -> Iterator[NftRule]:
        """The rules of a chain that may be about a packet, and those of the chains that they jump to.

        None behind a rule that lets the packet go on.
        """
        for rule in (each for each in self.rules if each.chain == chain and each.covers(packet) is not False):
            yield rule
            if rule.covers(packet) and rule.does_to(packet) & {"accept", "return"}:
                return
            for next_one in self.chains:
                if next_one.name in rule.targets and next_one not in above and _table(next_one) == _table(chain):
                    yield from self._met(next_one, packet, (*above, chain))


def read(ask: Ask) -> Ruleset | None:
    """What nft lists; None where it is missing or is not permitted to us."""
    listing, in_json = ask(["nft", "-a", "list", "ruleset"]), ask(["nft", "-j", "list", "ruleset"])
    return parse(listing.text, in_json.text) if listing.succeeded else None


def stops(ask: Ask, packet: PacketSeen | None = None) -> list[Stop]:
    """All that stops anything, or may stop a packet, where `ask` asks; none where we are not told."""
    return (read(ask) or Ruleset()).stops(packet)


def parse(listing: str, in_json: str) -> Ruleset:
    """The two listings put together."""
    expressions = _expressions(in_json)
    chains: list[NftChain] = []
    rules: list[NftRule] = []
    for table in _TABLE.finditer(listing + "\n"):
        for found in _CHAIN.finditer(table["body"]):
            lines = [line.strip() for line in found["lines"].splitlines()]
            chain = _chain(table["family"], table["name"], found["name"], lines)
            chains.append(chain)
            for match in filter(None, map(_HANDLE.match, lines)):
                number = int(match["number"])
                key = (chain.family, chain.table, number)
                rules.append(NftRule(chain, number, match["rule"], expressions.get(key, ())))
    return Ruleset(tuple(chains), tuple(rules))


def _table(chain: NftChain) -> tuple[str, str]:
    return chain.family, chain.table


def _chain(family: str, table: str, name: str, lines: list[str]) -> NftChain:
    for line in lines:
        if base := _BASE.match(line):
            devices = frozenset(re.findall(r'"([^"]+)"', base["devices"] or base["device"] or ""))
            return NftChain(family, table, name, base["kind"], base["hook"], devices, line)
    return NftChain(family, table, name)


def _expressions(in_json: str) -> dict[tuple[str, str, int], _Expression]:
    try:
        entries = json.loads(in_json)["nftables"]
    except (ValueError, KeyError, TypeError):
        return {}
    rules = (entry["rule"] for entry in entries if "rule" in entry)
    return {(rule["family"], rule["table"], rule["handle"]): tuple(rule.get("expr", ())) for rule in rules}


def _statements(part: Any) -> Iterator[str]:
    if isinstance(part, dict):
        for name, inside in part.items():
            yield name
            yield from _statements(inside)
    elif isinstance(part, list | tuple):
        for each in part:
            yield from _statements(each)
