"""What the packet filter remembers of packets: quotas, and sets that rules fill, as they were while packets passed.

Both are listed as they are now. What was listed before a packet and is the same after it was so for the packet: `Risen`
has that, too. Sources: nft(8), libnftables-json(5); for quotas nft_quota.c of the kernel, which lists no more than the
limit as used.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from qemunet_tests.host.nft_rule import CountKey, NftRule, Risen
from qemunet_tests.host.nft_sets import bare, changed_by_rules

_BYTES = {"bytes": 1, "kbytes": 1024, "mbytes": 1024 * 1024}
#: An element that is forgotten sooner may have been away for a moment between two listings.
_LASTS_SECONDS = 60
#: What may stand beside an element without deciding about a packet.
_BESIDE = frozenset({"val", "timeout", "expires", "comment", "counter"})


@dataclass(frozen=True)
class Quota:
    """`over`: what comes when it is used up meets it; else what comes before."""

    limit_bytes: int
    used_bytes: int
    over: bool

    def meets(self, stayed: bool | None) -> bool | None:
        """Whether packets met it. `stayed`: whether as much was used before them; None is for the next packet."""
        if self.used_bytes >= self.limit_bytes:
            return None if stayed is False else self.over
        # What is left now was left then.
        return None if stayed is None else not self.over


@dataclass(frozen=True)
class FilterMemory:
    """`quotas` are those with a name; `sets` holds by name what is in sets that rules fill and do not empty."""

    quotas: Mapping[tuple[str, str, str], Quota] = field(default_factory=dict)
    sets: Mapping[tuple[str, str, str], Sequence[Any]] = field(default_factory=dict)

    def counts(self, rules: Sequence[NftRule]) -> Iterator[tuple[CountKey, int]]:
        """How many bytes of each quota are used, and every element."""
        for (family, table, name), quota in self.quotas.items():
            yield (family, table, f"quota {name}"), quota.used_bytes
        for rule in rules:
            for own in filter(None, (_own_quota(part) for part in rule.expression)):
                yield _of_rule(rule), own.used_bytes
        for (family, table, name), elements in self.sets.items():
            yield from (((family, table, f"@{name} {each}"), 1) for each in elements)

    def as_it_was(self, rules: Sequence[NftRule], risen: Risen | None) -> tuple[NftRule, ...]:
        """The rules with what was surely so in the place of what they ask for; without those that met nothing."""
        return tuple(found for rule in rules if (found := self._as_it_was(rule, risen)))

    def _as_it_was(self, rule: NftRule, risen: Risen | None) -> NftRule | None:
        parts: list[dict[str, Any]] = []
        for part in rule.expression:
            met = self._quota_meets(rule, part, risen) if "quota" in part else None
            if met is False:
                return None
            if met is None:
                parts.append(self._with_elements(rule, part, risen))
        return rule if parts == list(rule.expression) else replace(rule, expression=tuple(parts))

    def _quota_meets(self, rule: NftRule, part: dict[str, Any], risen: Risen | None) -> bool | None:
        name = part["quota"]
        named = self.quotas.get((rule.chain.family, rule.chain.table, name)) if isinstance(name, str) else None
        key = (rule.chain.family, rule.chain.table, f"quota {name}") if named else _of_rule(rule)
        quota = named or _own_quota(part)
        return quota.meets(None if risen is None else key in risen) if quota else None

    def _with_elements(self, rule: NftRule, part: dict[str, Any], risen: Risen | None) -> dict[str, Any]:
        """Beside a set's name what was in it before and after: of others it is not told whether they were."""
        match = part.get("match", {})
        family, table, right = rule.chain.family, rule.chain.table, match.get("right")
        if risen is None or not isinstance(right, str) or not right.startswith("@"):
            return part
        elements = self.sets.get((family, table, right[1:]), ())
        lasting = [each for each in elements if (family, table, f"{right} {each}") in risen]
        return {"match": {**match, "right": {"set": [*lasting, right]}}} if lasting else part


def stayed(before: Mapping[CountKey | str, int], now: Mapping[CountKey | str, int]) -> dict[CountKey | str, int]:
    """What is remembered as it was before, of two counts; what rules have counted is not in it."""
    return {key: count for key, count in now.items() if is_remembered(key) and before.get(key) == count}


def is_remembered(key: CountKey | str) -> bool:
    """Whether that is no count of packets that rules have met."""
    return isinstance(key, tuple) and isinstance(key[2], str)


def _of_rule(rule: NftRule) -> CountKey:
    return rule.chain.family, rule.chain.table, f"quota of rule {rule.handle}"


def _own_quota(part: Mapping[str, Any]) -> Quota | None:
    said = part.get("quota")
    if not isinstance(said, dict) or "val" not in said:
        return None
    limit = said["val"] * _BYTES.get(said.get("val_unit", "bytes"), 0)
    used = said.get("used", 0) * _BYTES.get(said.get("used_unit", "bytes"), 0)
    return Quota(limit, used, bool(said.get("inv")))


def read(entries: Sequence[Mapping[str, Any]]) -> FilterMemory:
    """Of what nft lists in JSON."""
    quotas = {
        (one["family"], one["table"], one["name"]): Quota(one["bytes"], one.get("used", 0), bool(one.get("inv")))
        for one in (entry["quota"] for entry in entries if "quota" in entry)
    }
    changed = {*changed_by_rules(entries)}
    emptied = {place for place, how in changed if how == "delete"}
    filled = {place for place, _ in changed} - emptied
    sets = {
        place: tuple(_lasting(one))
        for one in (entry["set"] for entry in entries if "set" in entry)
        if (place := (one["family"], one["table"], one["name"])) in filled
    }
    return FilterMemory(quotas, sets)


def _lasting(one: Mapping[str, Any]) -> Iterator[Any]:
    """The elements of a set that are not forgotten at once, and have no limits of their own."""
    for element in one.get("elem", ()):
        said = element.get("elem", {}) if isinstance(element, dict) else {}
        lasts = said.get("timeout", one.get("timeout", _LASTS_SECONDS)) >= _LASTS_SECONDS
        if lasts and _BESIDE.issuperset(said):
            yield bare(element)
