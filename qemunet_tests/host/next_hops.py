"""The next hops of a route that has several, among which the kernel's hash divides what it sends.

Sources: ip-route(8), ip-nexthop(8), ip-sysctl.rst of the kernel's documentation for fib_multipath_hash_policy, and the
kernel's net/ipv4/fib_semantics.c.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from qemunet_tests.host.asking import Ask, listed
from qemunet_tests.host.policy_rules import MAIN

#: What ip(8) shows of a route that it takes back in the same words.
_KEPT = (("metric", "metric"), ("protocol", "proto"), ("prefsrc", "src"))


@dataclass(frozen=True)
class NextHop:
    """`gateway` is None for a network that is reached directly. `flags` are as ip(8) has them.

    `of_other_family` is one by IPv6 of what is sent by IPv4 (RFC 5549).
    """

    gateway: str | None
    link: str
    weight: int = 1
    flags: tuple[str, ...] = ()
    of_other_family: bool = False

    @property
    def words(self) -> str:
        """How ip(8) is told of it."""
        via = f"via {'inet6 ' if self.of_other_family else ''}{self.gateway} " if self.gateway else ""
        return f"{via}dev {self.link}{' onlink' if 'onlink' in self.flags else ''}"

    @property
    def without_carrier(self) -> bool:
        return "linkdown" in self.flags

    @property
    def left_out(self) -> bool:
        """Whether the kernel says that it hands nothing there.

        It may go on with that, though: with ignore_routes_with_linkdown it divides anew at the next change of a link.
        """
        return "dead" in self.flags


def of_route(route: dict[str, Any]) -> tuple[NextHop, ...]:
    """Those of a route as `ip -j route show` has it, by nexthop objects or not; none of a dead end."""
    parts = route.get("nexthops") or ([route] if "dev" in route else [])
    return tuple(
        NextHop(gateway(each), each["dev"], each.get("weight", 1), tuple(each.get("flags", [])), "via" in each)
        for each in parts
        if "dev" in each
    )


def gateway(part: dict[str, Any]) -> str | None:
    """That of a route or a next hop, as ip(8) has them: one of the other family is named apart."""
    found = part.get("gateway") or part.get("via", {}).get("host")
    return str(found) if found else None


def spelled(route: dict[str, Any]) -> str:
    """A route's target and hops, in words."""
    found = of_route(route)
    if len(found) > 1:
        return f"{route['dst']} with {len(found)} next hops ({' and '.join(each.words for each in found)})"
    return " ".join([str(route["dst"]), *(each.words for each in found)])


def take_out(ask: Ask, route: dict[str, Any], table: str, dead: Iterable[NextHop], family: str) -> str | None:
    """The command that leaves a route its other hops; None where none is left."""
    left = [each for each in of_route(route) if each not in dead]
    if not left:
        return None
    if nhid := route.get("nhid"):
        return _group_of(ask, int(nhid), left)
    said = f"{family} " if family == "-6" or any(each.of_other_family for each in left) else ""
    ip = f"sudo ip {said}route replace {route['dst']}"
    kept = [f"{word} {route[key]}" for key, word in _KEPT if key in route]
    in_table = [] if table == MAIN else [f"table {table}"]
    metrics = [f"{name} {value}" for each in route.get("metrics", []) for name, value in each.items()]
    return " ".join([ip, *in_table, *kept, *metrics, *_hops(left)])


def _hops(left: list[NextHop]) -> Iterator[str]:
    for each in left:
        yield each.words if len(left) == 1 else f"nexthop {each.words} weight {each.weight}"


def _group_of(ask: Ask, group: int, left: list[NextHop]) -> str | None:
    """The same of a route by a group of nexthop objects: other routes may have the group as well, and the dead hop."""
    objects = {each["id"]: each for each in listed(ask, "ip", "-j", "nexthop", "show") if "id" in each}
    places = {(each.gateway, each.link) for each in left}
    members = [
        each
        for each in objects.get(group, {}).get("group", [])
        if (gateway(objects.get(each["id"], {})), objects.get(each["id"], {}).get("dev")) in places
    ]
    if not members:
        return None
    ids = "/".join(f"{each['id']},{each['weight']}" if "weight" in each else str(each["id"]) for each in members)
    kind = objects[group].get("type")
    return f"sudo ip nexthop replace id {group} group {ids}{f' type {kind}' if kind else ''}"
