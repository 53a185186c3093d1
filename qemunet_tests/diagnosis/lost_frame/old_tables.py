"""Rules and policies of iptables-legacy, which nft does not list, by their counters, and what lets one packet pass.

Source: iptables(8). Only root is told.
"""

import re
import shlex
from collections.abc import Iterator, Mapping
from ipaddress import ip_address, ip_network

from qemunet_tests.host.nft_match import PacketSeen
from qemunet_tests.host.obstacle import Obstacle

#: As `iptables -vS` prints a chain's policy and its rules.
_LISTED = re.compile(r"(?P<how>-[PA]) (?P<chain>\S+)(?P<policy> DROP)?(?P<rest>.*?) -c (?P<count>\d+) \d+(?P<end>.*)")
_STOPS, _JUMPS = re.compile(r"-j (DROP|REJECT)\b"), re.compile(r"-[jg] (\S+)")
#: A rule that says one of these is about a question or about its answers.
_ONE_WAY = frozenset({"-s", "-d", "-i", "-o", "--sport", "--dport"})
HOOKS = ("INPUT", "FORWARD", "OUTPUT")
_BRIDGED = "-m physdev --physdev-is-bridged"
#: By itself it lets none pass but what answers packets that were let through.
_ANSWERS = " && sudo iptables-legacy -I FORWARD -m conntrack --ctstate ESTABLISHED -j ACCEPT"


def counts(listing: str) -> Iterator[tuple[str, int]]:
    """How many packets each rule and policy has stopped, in `iptables-legacy -vS`, for each hook that leads to it."""
    lines = [found for line in listing.splitlines() if (found := _LISTED.match(line))]
    for hook in HOOKS:
        led_to = _led_to(hook, lines)
        for line in lines:
            if line["chain"] in led_to and (line["policy"] or _STOPS.search(line["rest"] + line["end"])):
                rule = f"{line['how']} {line['chain']}{line['policy'] or ''}{line['rest']}{line['end']}"
                yield f"{_key(hook)}{rule}", int(line["count"])


def _led_to(hook: str, lines: "list[re.Match[str]]") -> set[str]:
    """The chains through which packets of a hook may come."""
    jumps = [(line["chain"], to[1]) for line in lines if (to := _JUMPS.search(line["rest"] + line["end"]))]
    found, before = {hook}, set[str]()
    while found != before:
        before = set(found)
        found |= {to for chain, to in jumps if chain in before}
    return found


def _key(hook: str) -> str:
    return f"iptables-legacy {hook}: "


def stopping(hook: str, packet: PacketSeen, risen: Mapping[str, int], bridged: bool) -> Iterator[Obstacle]:
    """What counted something at a hook meanwhile, but for rules that are about other packets.

    With `bridged` it is a frame that stays in a bridge: where a policy drops those, answers need to pass as well.
    """
    for rule in (key.removeprefix(_key(hook)) for key in risen if key.startswith(_key(hook))):
        if not _is_about_others(shlex.split(rule), packet):
            whole = bridged and rule.startswith("-P")
            accept = f"sudo iptables-legacy -I {hook} {_BRIDGED if whole else _words(packet)} -j ACCEPT"
            if hook == "FORWARD" and _ONE_WAY.isdisjoint(shlex.split(rule)) and not packet.answers and not whole:
                accept += _ANSWERS
            yield Obstacle(f"iptables-legacy: {rule}, which counted it", accept)


def _is_about_others(rule: list[str], packet: PacketSeen) -> bool:
    """Whether a plain match, one without `!`, speaks against a packet."""
    said = {name: value for before, name, value in zip(["", *rule], rule, rule[1:], strict=False) if before != "!"}
    ports = {"--dport": packet.port, "--sport": packet.source_port}
    networks = {"-s": packet.source, "-d": packet.destination}
    links = {"-i": packet.coming_by, "-o": packet.leaving_by}
    return (
        said.get("-p", packet.protocol) != packet.protocol
        or any(port and not _is_within(port, said[name]) for name, port in ports.items() if name in said)
        or any(at and ip_address(at) not in ip_network(said[name]) for name, at in networks.items() if name in said)
        or any(link and not _is_called(link, said[name]) for name, link in links.items() if name in said)
    )


def _is_called(link: str, spelled: str) -> bool:
    return link.startswith(spelled[:-1]) if spelled.endswith("+") else link == spelled


def _is_within(port: int, spelled: str) -> bool:
    low, _, high = spelled.partition(":")
    return int(low or 0) <= port <= int(high or low)


def _words(packet: PacketSeen) -> str:
    """What iptables calls packets like this one and few others."""
    said = {
        "-s": packet.source,
        "-d": packet.destination,
        "-p": packet.protocol,
        "--sport": packet.source_port,
        "--dport": None if packet.passing else packet.port,
        "--icmp-type": packet.kind if packet.protocol == "icmp" else None,
    }
    return " ".join(f"{name} {value}" for name, value in said.items() if value is not None)
