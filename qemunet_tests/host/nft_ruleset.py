"""The packet filter of a network namespace, chain by chain, as nft(8) lists it: in words for people, in JSON for us.

Sources: nft(8), libnftables-json(5). Only who has CAP_NET_ADMIN there is told.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from qemunet_tests.host import nft_forgetting, nft_listing, nft_memory, nft_queues, nft_sets, nft_tracking
from qemunet_tests.host.asking import Ask
from qemunet_tests.host.nft_match import PacketSeen
from qemunet_tests.host.nft_memory import FilterMemory
from qemunet_tests.host.nft_owner import kept
from qemunet_tests.host.nft_rule import CountKey, Expression, NftChain, NftRule, Risen, acted, met
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
#: Or of a translation.
_ENDING = _DECIDING | _LEAVING | {"dnat", "redirect", "snat", "masquerade"}


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
    """All chains and rules, in the order in which they are listed, and what they remember of packets."""

    chains: tuple[NftChain, ...] = ()
    rules: tuple[NftRule, ...] = ()
    memory: FilterMemory = field(default_factory=FilterMemory)

    @property
    def counts(self) -> dict[CountKey, int]:
        """How many packets each rule with a counter has met, and what is remembered of packets."""
        found: dict[CountKey, int] = {rule.key: rule.counted for rule in self.rules if rule.counted is not None}
        return found | dict(self.memory.counts(self.rules))

    def stops(self, packet: PacketSeen, risen: Risen | None = None) -> list[Stop]:
        """What stops a packet, or may, at any hook, what is certain first, and of that what the packet meets first.

        `risen` is by how much `counts` have risen when it was sent: a rule whose counter has not did not meet it, and
        one whose counter has is what met it, where its matches do not tell.
        """
        then = replace(self, rules=self.memory.as_it_was(self.rules, risen))
        hooked = [chain for chain in self.chains if chain.hook and chain.kind != "nat"]
        found = [stop for chain in hooked for stop in then._at_hook(chain, packet, risen)]
        return sorted(found, key=lambda stop: (not stop.certain, _HOOKS.index(stop.hook) if stop.hook in _HOOKS else 0))

    def stopping(self) -> list[NftRule]:
        """Every rule that stops anything."""
        return [rule for rule in self.rules if not rule.does.isdisjoint(_STOPPING)]

    def _at_hook(self, chain: NftChain, usual: PacketSeen, risen: Risen | None) -> Iterator[Stop]:
        seen = nft_tracking.tracked(usual, chain.hook, self.rules, risen)
        packet = seen.packet
        passage = self._through(chain, packet, risen)
        usually = self._through(chain, usual, risen) if seen.rule else passage
        for rule, certain in passage.found:
            place, remedy = rule.place, self._remedy(rule, packet)
            if seen.rule and rule not in [each for each, _ in usually.found]:
                place, remedy = self._as_untracked(place, seen.rule, seen.words)
            yield Stop(chain, Obstacle(place, remedy), certain)
        if chain.drops and not passage.over:
            place, remedy = f"{chain.place}: {chain.base}", self._accepted(chain, packet)
            if seen.rule and usually.over:
                place, remedy = self._as_untracked(place, seen.rule, seen.words)
            yield Stop(chain, Obstacle(place, remedy), not passage.doubtful)

    def _as_untracked(self, place: str, by: NftRule, words: str) -> tuple[str, str]:
        """What stops a packet only because conntrack was kept from it, and what has it tracked."""
        return f"{place}, as its conversation is left untracked by {by.place}", self.spared(by, words)

    def _accepted(self, chain: NftChain, packet: PacketSeen) -> str:
        """The command that lets a packet pass where a chain drops whatever no rule accepts."""
        add = f"sudo nft add rule {chain.family} {chain.table} {chain.name}"
        remedy = f"{add} {packet.words_to_accept} accept"
        if packet.is_routed and not self._through(chain, packet.answer(), None).over:
            # Answers come through the same chain. By itself this lets none pass but theirs.
            remedy += f" && {add} ct state established accept"
        return kept(remedy, chain, {each.name for each in self.chains if _table(each) == _table(chain)})

    def _through(
        self, chain: NftChain, packet: PacketSeen, risen: Risen | None, above: tuple[NftChain, ...] = ()
    ) -> _Passage:
        """Follow a packet through a chain and those that it is sent through from there."""
        found: list[tuple[NftRule, bool]] = []
        doubtful = skipped = False
        for rule in (each for each in self.rules if each.chain == chain):
            about, does = met(rule, packet, risen), rule.does_to(packet)
            if about is False:
                continue
            sure = (not does.isdisjoint(_STOPPING) and acted(rule, packet, risen)) or (
                about is True and not doubtful and not skipped
            )
            if not does.isdisjoint(_STOPPING):
                found.append((rule, sure))
            inside = [
                self._through(each, packet, risen, (*above, chain)) for each in self._sent_to(rule, packet, above)
            ]
            # A counter of its own proves it of a rule, however packets come there.
            found += [
                (each, certain and (sure or acted(each, packet, risen)))
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

    def translating(self, hook: str, packet: PacketSeen) -> list[tuple[NftRule, bool]]:
        """The rules at a hook that give a packet another destination, or may, each with whether that is certain."""
        hooked = (chain for chain in self.chains if chain.hook == hook)
        return [each for chain in hooked for each in self._met(chain, packet) if each[0].sends_elsewhere]

    def masquerading(self, packet: PacketSeen) -> list[tuple[NftRule, bool]]:
        """What gives a packet that leaves this host another source, or may, each with whether that is certain."""
        hooked = (chain for chain in self.chains if chain.hook == "postrouting")
        does = {"masquerade", "snat"}
        return [each for chain in hooked for each in self._met(chain, packet) if each[0].does & does]

    def _remedy(self, rule: NftRule, packet: PacketSeen) -> str:
        """What lets a packet pass a rule that has stopped it, or may have."""
        spared = self.spared(rule, packet.words)
        forgetting = nft_forgetting.command(rule, packet, self.memory, self.rules)
        return f"{forgetting[0]}; it stops the like again {forgetting[1]}: for good, {spared}" if forgetting else spared

    def spared(self, rule: NftRule, words: str) -> str:
        """The command that lets packets, by a match of nft's, go on before a rule, and who would undo that."""
        chain = rule.chain
        remedy = f"sudo nft insert rule {chain.family} {chain.table} {chain.name} position {rule.handle} {words} accept"
        return kept(remedy, chain, {each.name for each in self.chains if _table(each) == _table(chain)})

    def _met(
        self, chain: NftChain, packet: PacketSeen, certain: bool = True, above: tuple[NftChain, ...] = ()
    ) -> Iterator[tuple[NftRule, bool]]:
        """The rules of a chain that may be about a packet, and those of the chains that they jump to.

        None behind a rule that decides about it or sends it back, and none is certain behind one that may.
        """
        for rule in (each for each in self.rules if each.chain == chain):
            about, does = rule.covers(packet), rule.does_to(packet)
            if about is False:
                continue
            yield rule, certain and about is True
            ends = [about is True] if not does.isdisjoint(_ENDING) else []
            for next_one in self._sent_to(rule, packet, above):
                for each, sure in self._met(next_one, packet, certain, (*above, chain)):
                    yield each, sure
                    ends += [sure and about is True] if not each.does_to(packet).isdisjoint(_DECIDING) else []
            if True in ends and certain:
                return
            certain = certain and not ends


def read(ask: Ask) -> Ruleset | None:
    """What nft lists; None where it is missing or is not permitted to us."""
    listed = nft_listing.read(ask)
    return parse(listed.words, listed.in_json, listed.queues) if listed else None


def stops(ask: Ask, packet: PacketSeen) -> list[Stop]:
    """All that stops a packet, or may, where `ask` asks; none where we are not told."""
    return (read(ask) or Ruleset()).stops(packet)


def parse(listing: str, in_json: str, queues: frozenset[int] = frozenset()) -> Ruleset:
    """The two listings put together; `queues` are those that programs take packets from."""
    entries = _entries(in_json)
    expressions = _expressions(entries)
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
                queued = nft_queues.becomes(match["rule"], queues)
                rules.append(NftRule(chain, number, match["rule"], expressions.get(key, ()), queued))
    return Ruleset(tuple(chains), tuple(rules), nft_memory.read(entries))


def _table(chain: NftChain) -> tuple[str, str]:
    return chain.family, chain.table


def _chain(family: str, table: str, name: str, lines: list[str]) -> NftChain:
    for line in lines:
        if base := _BASE.match(line):
            devices = frozenset(re.findall(r'"([^"]+)"', base["devices"] or base["device"] or ""))
            return NftChain(family, table, name, base["kind"], base["hook"], devices, line)
    return NftChain(family, table, name)


def _entries(in_json: str) -> list[dict[str, Any]]:
    try:
        return list(json.loads(in_json)["nftables"])
    except (ValueError, KeyError, TypeError):
        return []


def _expressions(entries: list[dict[str, Any]]) -> dict[tuple[str, str, int], Expression]:
    named = nft_sets.named(entries)
    rules = (entry["rule"] for entry in entries if "rule" in entry)
    return {
        (rule["family"], rule["table"], rule["handle"]): tuple(
            nft_sets.written_out(rule.get("expr", []), named.get((rule["family"], rule["table"]), {}))
        )
        for rule in rules
    }
