"""The packet filter of a network namespace, chain by chain, as nft(8) lists it: in words for people, in JSON for us.

Sources: nft(8), libnftables-json(5). Only who has CAP_NET_ADMIN there is told.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from qemunet_tests.host import nft_listing, nft_sets
from qemunet_tests.host.asking import Ask
from qemunet_tests.host.nft_match import PacketSeen, covers, resolved
from qemunet_tests.host.nft_owner import kept
from qemunet_tests.host.obstacle import Obstacle

_TABLE = re.compile(r"^table (?P<family>\w+) (?P<name>\S+) {[^\n]*\n(?P<body>.*?)^}", re.MULTILINE | re.DOTALL)
_CHAIN = re.compile(r"^\tchain (?P<name>\S+) {[^\n]*\n(?P<lines>.*?)^\t}", re.MULTILINE | re.DOTALL)
_BASE = re.compile(
    r"^type (?P<kind>\w+) hook (?P<hook>\w+)(?: devices? = ?(?P<devices>{[^}]*}|\S+)| device (?P<device>\S+))?"
)
_HANDLE = re.compile(r"^(?P<rule>.*?)\s*# handle (?P<number>\d+)$")
#: In the order in which a packet comes to them.
_HOOKS = ("ingress", "prerouting", "input", "forward", "output", "postrouting", "egress")
_STOPPING = frozenset({"drop", "reject", "queue"})
#: Behind these nothing more is decided in a chain of a hook.
_DECIDING = _STOPPING | {"accept"}
_LEAVING = frozenset({"return", "goto"})
_TARGETS = re.compile(r"\b(?:jump|goto) ([^\s,}]+)")
_TARGET = re.compile(r'"target": "([^"]+)"')
_QUOTED = re.compile(r'"[^"]*"')
_STATES = re.compile(r"\bct state ([a-z,]+)")
_TRANSLATING = ("dnat", "redirect", "tproxy")
_Expression = tuple[dict[str, Any], ...]
#: By how much the counters of rules have risen, by `NftRule.key`.
Risen = Mapping[tuple[str, str, int], int]


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
        return (
            said | frozenset(re.findall(r"[a-z]+", _QUOTED.sub("", self.words))) if not said or "xt" in said else said
        )

    def does_to(self, packet: PacketSeen) -> frozenset[str]:
        """The statements that may become of a packet: of a map of verdicts only those that are its."""
        if not any("vmap" in part for part in self.expression):
            return self.does
        return frozenset(_statements([resolved(part, packet) for part in self.expression]))

    @property
    def sends_elsewhere(self) -> bool:
        """Whether it gives packets another destination."""
        return not self.does.isdisjoint(_TRANSLATING)

    @property
    def targets(self) -> frozenset[str]:
        """The chains that it sends packets through."""
        return frozenset(_TARGETS.findall(self.words))

    def targets_of(self, packet: PacketSeen) -> frozenset[str]:
        """Those that it sends a packet through: of a map of verdicts only its own."""
        if not any("vmap" in part for part in self.expression):
            return self.targets
        return frozenset(_TARGET.findall(json.dumps([resolved(part, packet) for part in self.expression])))

    @property
    def key(self) -> tuple[str, str, int]:
        """What tells it from all others."""
        return self.chain.family, self.chain.table, self.handle

    @property
    def counted(self) -> int | None:
        """How many packets it has met, where it has a counter of its own."""
        own = next((part["counter"] for part in self.expression if "counter" in part), None)
        return own["packets"] if isinstance(own, dict) else None

    def covers(self, packet: PacketSeen) -> bool | None:
        """Whether it is about a packet; None where that cannot be told."""
        told = covers(self.expression, packet)
        # What iptables says of connections, nft puts into words and not into JSON.
        states = _STATES.search(self.words) if told is None and packet.state else None
        return False if states and packet.state not in states[1].split(",") else told

    @property
    def place(self) -> str:
        """Where it stands and what it says."""
        return f"{self.chain.place}: {self.words}"

    @property
    def obstacle(self) -> Obstacle:
        """What it is in the way of whatever it is about, and what takes it away."""
        chain = self.chain
        return Obstacle(
            self.place, f"sudo nft delete rule {chain.family} {chain.table} {chain.name} handle {self.handle}"
        )


@dataclass(frozen=True)
class Stop:
    """A rule or policy that stops a packet, and what lets that pass. `chain` is that of the hook.

    `certain`: it is known to decide about it; else it only may.
    """

    chain: NftChain
    obstacle: Obstacle
    certain: bool = False

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
class _Passage:
    """What became of a packet in a chain: the rules that stopped it, or may have, and whether that is certain.

    `over`: something there surely decides about it; `doubtful`: something may.
    """

    found: tuple[tuple[NftRule, bool], ...]
    over: bool
    doubtful: bool


@dataclass(frozen=True)
class Ruleset:
    """All chains and rules, in the order in which they are listed."""

    chains: tuple[NftChain, ...] = ()
    rules: tuple[NftRule, ...] = ()

    @property
    def counts(self) -> dict[tuple[str, str, int], int]:
        """How many packets each rule with a counter has met."""
        return {rule.key: rule.counted for rule in self.rules if rule.counted is not None}

    def stops(self, packet: PacketSeen, risen: Risen | None = None) -> list[Stop]:
        """What stops a packet, or may, at any hook, what is certain first, and of that what the packet meets first.

        `risen` is by how much `counts` have risen when it was sent: a rule whose counter has not did not meet it, and
        one whose counter has is what met it, where its matches do not tell.
        """
        hooked = [chain for chain in self.chains if chain.hook and chain.kind != "nat"]
        found = [stop for chain in hooked for stop in self._at_hook(chain, packet, risen)]
        return sorted(found, key=lambda stop: (not stop.certain, _HOOKS.index(stop.hook) if stop.hook in _HOOKS else 0))

    def stopping(self) -> list[NftRule]:
        """Every rule that stops anything."""
        return [rule for rule in self.rules if not rule.does.isdisjoint(_STOPPING)]

    def _at_hook(self, chain: NftChain, packet: PacketSeen, risen: Risen | None) -> Iterator[Stop]:
        passage = self._through(chain, packet, risen)
        beside = {each.name for each in self.chains if _table(each) == _table(chain)}
        for rule, certain in passage.found:
            yield Stop(chain, Obstacle(rule.place, self.spared(rule, packet.words)), certain)
        if chain.drops and not passage.over:
            add = f"sudo nft add rule {chain.family} {chain.table} {chain.name}"
            remedy = f"{add} {packet.words_to_accept} accept"
            if packet.is_routed and not self._through(chain, packet.answer(), None).over:
                # Answers come through the same chain. By itself this lets none pass but theirs.
                remedy += f" && {add} ct state established accept"
            obstacle = Obstacle(f"{chain.place}: {chain.base}", kept(remedy, chain, beside))
            yield Stop(chain, obstacle, not passage.doubtful)

    def _through(
        self, chain: NftChain, packet: PacketSeen, risen: Risen | None, above: tuple[NftChain, ...] = ()
    ) -> _Passage:
        """Follow a packet through a chain and those that it is sent through from there."""
        found: list[tuple[NftRule, bool]] = []
        doubtful = skipped = False
        for rule in (each for each in self.rules if each.chain == chain):
            about, does = _met(rule, packet, risen), rule.does_to(packet)
            if about is False:
                continue
            seen_to_act = bool(risen and rule.key in risen) and not does.isdisjoint(_STOPPING)
            sure = seen_to_act or (about is True and not doubtful and not skipped)
            if not does.isdisjoint(_STOPPING):
                found.append((rule, sure))
            inside = [
                self._through(each, packet, risen, (*above, chain)) for each in self._sent_to(rule, packet, above)
            ]
            # A counter of its own proves it of a rule, however packets come there.
            found += [
                (each, certain and (sure or bool(risen and each.key in risen)))
                for passage in inside
                for each, certain in passage.found
            ]
            decides = not does.isdisjoint(_DECIDING) or any(passage.over for passage in inside)
            if about and decides:
                return _Passage(tuple(found), not skipped, doubtful or skipped)
            doubtful = doubtful or decides or any(passage.doubtful for passage in inside)
            if about and not does.isdisjoint(_LEAVING):
                break
            skipped = skipped or not does.isdisjoint(_LEAVING)
        return _Passage(tuple(found), False, doubtful)

    def _sent_to(self, rule: NftRule, packet: PacketSeen, above: tuple[NftChain, ...]) -> Iterator[NftChain]:
        names = rule.targets_of(packet)
        for chain in self.chains:
            if chain.name in names and chain not in (*above, rule.chain) and _table(chain) == _table(rule.chain):
                yield chain

    def translating(self, hook: str, packet: PacketSeen) -> list[NftRule]:
        """The rules at a hook that give a packet another destination, or may."""
        hooked = (chain for chain in self.chains if chain.hook == hook)
        return [rule for chain in hooked for rule in self._met(chain, packet) if rule.sends_elsewhere]

    def masquerading(self, packet: PacketSeen) -> list[NftRule]:
        """What gives a packet that leaves this host another source, or may."""
        hooked = (chain for chain in self.chains if chain.hook == "postrouting")
        return [rule for chain in hooked for rule in self._met(chain, packet) if rule.does & {"masquerade", "snat"}]

    def spared(self, rule: NftRule, words: str) -> str:
        """The command that lets packets, by a match of nft's, go on before a rule, and who would undo that."""
        chain = rule.chain
        remedy = f"sudo nft insert rule {chain.family} {chain.table} {chain.name} position {rule.handle} {words} accept"
        return kept(remedy, chain, {each.name for each in self.chains if _table(each) == _table(chain)})

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
    listed = nft_listing.read(ask)
    return parse(listed.words, listed.in_json) if listed else None


def stops(ask: Ask, packet: PacketSeen) -> list[Stop]:
    """All that stops a packet, or may, where `ask` asks; none where we are not told."""
    return (read(ask) or Ruleset()).stops(packet)


def _met(rule: NftRule, packet: PacketSeen, risen: Risen | None) -> bool | None:
    """Whether a rule met a packet, by its matches, and where it has a counter by that."""
    about = rule.covers(packet)
    if about is not False and risen is not None and rule.counted is not None and rule.key not in risen:
        return False
    return about


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
    named = nft_sets.named(entries)
    rules = (entry["rule"] for entry in entries if "rule" in entry)
    return {
        (rule["family"], rule["table"], rule["handle"]): tuple(
            nft_sets.written_out(rule.get("expr", []), named.get((rule["family"], rule["table"]), {}))
        )
        for rule in rules
    }


def _statements(part: Any) -> Iterator[str]:
    if isinstance(part, dict):
        for name, inside in part.items():
            yield name
            yield from _statements(inside)
    elif isinstance(part, list | tuple):
        for each in part:
            yield from _statements(each)
