"""Chains and rules of the packet filter, and what a rule does to a packet. Source: libnftables-json(5)."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from qemunet_tests.host.nft_match import PacketSeen, covers, resolved
from qemunet_tests.host.obstacle import Obstacle

_TARGETS = re.compile(r"\b(?:jump|goto) ([^\s,}]+)")
_TARGET = re.compile(r'"target": "([^"]+)"')
_QUOTED = re.compile(r'"[^"]*"')
_STATES = re.compile(r"\bct state ([a-z,]+)")
_TRANSLATING = ("dnat", "redirect", "tproxy")
Expression = tuple[dict[str, Any], ...]
#: What is counted there: by rule (`NftRule.key`), or by the name of what a table remembers.
CountKey = tuple[str, str, int | str]
#: By how much that has risen; of what tables remember, all that has not changed.
Risen = Mapping[CountKey, int]


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
    """`words` is the rule as nft prints it; `expression` as libnftables-json(5) has it, empty where not known.

    `queued` is what becomes of what it queues, as `nft_queues.becomes` has it.
    """

    chain: NftChain
    handle: int
    words: str
    expression: Expression = ()
    queued: str | None = None

    @cached_property
    def does(self) -> frozenset[str]:
        """The statements in it, those of a map of verdicts included; by its words where it is known by these alone."""
        said = frozenset(_statements(self.expression))
        # What iptables wrote is not always in JSON.
        if not said or "xt" in said:
            said |= frozenset(re.findall(r"[a-z]+", _QUOTED.sub("", self.words)))
        return said - {"queue"} | {"accept"} if self.queued == "accept" else said

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
        if states and packet.state not in states[1].split(","):
            return False
        # What a program decides is its own affair.
        return None if told and self.queued == "asks" else told

    @property
    def place(self) -> str:
        """Where it stands and what it says."""
        nobody = ", and no program takes what is queued there" if self.queued == "drop" else ""
        return f"{self.chain.place}: {self.words}{nobody}"

    @property
    def obstacle(self) -> Obstacle:
        """What it is in the way of whatever it is about, and what takes it away."""
        chain = self.chain
        return Obstacle(
            self.place, f"sudo nft delete rule {chain.family} {chain.table} {chain.name} handle {self.handle}"
        )


def met(rule: NftRule, packet: PacketSeen, risen: Risen | None) -> bool | None:
    """Whether a rule met a packet, by its matches, and where it has a counter by that."""
    about = rule.covers(packet)
    if about is not False and risen is not None and rule.counted is not None and rule.key not in risen:
        return False
    return about


def acted(rule: NftRule, packet: PacketSeen, risen: Risen | None) -> bool:
    """Whether its counter shows that a rule did what it does: what is asked for behind a counter is not counted."""
    if not risen or rule.key not in risen or rule.queued == "asks":
        return False
    counter = next((at for at, part in enumerate(rule.expression) if "counter" in part), -1)
    return covers(rule.expression[counter + 1 :], packet) is True


def _statements(part: Any) -> Iterator[str]:
    if isinstance(part, dict):
        for name, inside in part.items():
            yield name
            yield from _statements(inside)
    elif isinstance(part, list | tuple):
        for each in part:
            yield from _statements(each)
