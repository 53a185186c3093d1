"""Whether a station's own routing lets a packet out at all, and what of it does not."""

import json
import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network

from pyroute2.netlink.exceptions import NetlinkError

from qemunet_tests.isolation.station import Station

#: Types of routes and rules that end a packet's way.
DEAD_ENDS = ("blackhole", "prohibit", "unreachable")
#: The strict setting of rp_filter, and how the kernel says that a packet would not be let in.
STRICT, MARTIAN = "1", ("Invalid argument", "Invalid cross-device link")
RULE = re.compile(r"^(?P<preference>\d+):\s+(?P<selector>.*?)\s+(?P<type>\w+)\s*$")


@dataclass(frozen=True)
class DeadEnd:
    """What `ip route get` answers, the rule or route it comes from where that is known, and what takes it away."""

    error: str
    entry: str | None
    remedy: str


def dead_end(station: Station, address: str, user: int) -> DeadEnd | None:
    """What keeps packets of a user to an address from being routed; None where nothing does."""
    got = _route(station, f"{address} uid {user}")
    if not isinstance(got, str):
        return None
    entry, remedy = _entry(station, address)
    return DeadEnd(got, entry, remedy)


def answers_are_refused(station: Station, address: str, user: int) -> str | None:
    """The interface at which the reverse path filter drops what an address answers; None where it comes in.

    The kernel is asked how it would route such an answer: that takes no privilege and sends nothing.
    """
    way = _route(station, f"{address} uid {user}")
    if isinstance(way, str) or "prefsrc" not in way:
        return None
    link = way["dev"]
    if STRICT not in {station.sysctl(f"net.ipv4.conf.{which}.rp_filter") for which in ("all", link)}:
        return None
    return link if _route(station, f"{way['prefsrc']} from {address} iif {link}") in MARTIAN else None


def _route(station: Station, words: str) -> dict[str, str] | str:
    """How the kernel would route something, or its refusal. ip(8), because pyroute2 cannot ask for a user."""
    answer = station.run(f"ip -4 -j route get {words}")
    if not answer.succeeded:
        return answer.complaint.removeprefix("RTNETLINK answers: ")
    way: dict[str, str] = json.loads(answer.text)[0]
    return way


def _entry(station: Station, address: str) -> tuple[str | None, str]:
    for line in station.run("ip -4 rule show").text.splitlines():
        rule = RULE.match(line.strip())
        if rule and rule["type"] in DEAD_ENDS:
            selector = " ".join(word for word in rule["selector"].split() if word not in ("from all",))
            return f"the rule {line.strip()}", f"sudo ip rule del pref {rule['preference']} {selector} {rule['type']}"
    for line in station.run("ip -4 route show table all").text.splitlines():
        kind, _, rest = line.strip().partition(" ")
        target = rest.split(" ")[0]
        if kind in DEAD_ENDS and IPv4Address(address) in _network(target):
            return f"the route {kind} {target}", f"sudo ip route del {kind} {target}{_table(rest)}"
    return None, "sudo ip route add default via GATEWAY, with the address of the LAN's router"


def _network(target: str) -> IPv4Network:
    return IPv4Network("0.0.0.0/0" if target == "default" else target)


def _table(words: str) -> str:
    found = re.search(r"\btable (\S+)", words)
    return f" table {found[1]}" if found else ""


@dataclass(frozen=True)
class Neighbour:
    """What a station's neighbour table says of an address on one of its links."""

    address: str
    link: str
    mac: str | None
    by_hand: bool
    failed: bool


#: linux/neighbour.h.
NUD_INCOMPLETE, NUD_FAILED, NUD_PERMANENT = 0x01, 0x20, 0x80


def next_hop(station: Station, address: str) -> Neighbour | None:
    """The entry for whoever a packet to an address is handed to; None where there is none."""
    try:
        (route,) = station.netlink.route("get", dst=address)
    except (NetlinkError, ValueError):
        return None
    hop = route.get("gateway") or address
    for entry in station.netlink.get_neighbours(family=2, ifindex=route.get("oif"), dst=hop):
        if entry.get("dst") == hop:
            state = entry["state"]
            link = station.netlink.get_links(entry["ifindex"])[0].get("ifname")
            return Neighbour(hop, link, entry.get("lladdr"), bool(state & NUD_PERMANENT),
                             bool(state & (NUD_FAILED | NUD_INCOMPLETE)))  # fmt: skip
    return None
