"""Named sets and maps of the packet filter, written out where rules name them. Source: libnftables-json(5)."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

#: What sets and maps of one table hold, by their names.
NamedSets = Mapping[str, list[Any]]


def named(entries: Sequence[Mapping[str, Any]]) -> dict[tuple[str, str], dict[str, list[Any]]]:
    """What every set and map holds, by family and table, as nft lists it.

    Without those that rules fill with what packets bear: what was listed a moment ago says nothing of the next packet.
    """
    changed = {place for place, _ in changed_by_rules(entries)}
    found: dict[tuple[str, str], dict[str, list[Any]]] = {}
    for one in (entry[kind] for entry in entries for kind in ("set", "map") if kind in entry):
        place = (one["family"], one["table"])
        if (*place, one["name"]) not in changed:
            found.setdefault(place, {})[one["name"]] = [*map(bare, one.get("elem", ()))]
    return found


def changed_by_rules(entries: Iterable[Mapping[str, Any]]) -> Iterator[tuple[tuple[str, str, str], str]]:
    """The sets and maps that rules put something in or take it out, by family, table and name, and how."""
    for rule in (entry["rule"] for entry in entries if "rule" in entry):
        for part in rule.get("expr", ()):
            for kind in {"set", "map"} & {*part}:
                name = str(part[kind].get(kind)).removeprefix("@")
                yield (rule["family"], rule["table"], name), str(part[kind].get("op"))


def bare(element: Any) -> Any:
    """An element without what is noted beside it, as its timeout or a comment; of a map, with its key so."""
    if isinstance(element, list):
        return [bare(element[0]), *element[1:]]
    inside = element.get("elem") if isinstance(element, dict) else None
    return inside["val"] if isinstance(inside, dict) and "val" in inside else element


def written_out(part: Any, sets: NamedSets) -> Any:
    """A rule's expression with what the named sets and maps hold in the place of their names."""
    if isinstance(part, list):
        return [written_out(each, sets) for each in part]
    if isinstance(part, dict):
        return {key: _filled(key, value, sets) for key, value in part.items()}
    return part


def _filled(key: str, value: Any, sets: NamedSets) -> Any:
    """The right side of a match and the data of a map of verdicts may be a name."""
    if key in ("right", "data") and isinstance(value, str) and value.removeprefix("@") in sets and value[:1] == "@":
        return {"set": sets[value[1:]]}
    return written_out(value, sets)
