"""What makes the packet filter forget what it remembers of a packet, where that is why it stops it. Source: nft(8)."""

import re
from collections.abc import Sequence
from ipaddress import ip_address

from qemunet_tests.host.nft_match import PacketSeen
from qemunet_tests.host.nft_memory import FilterMemory
from qemunet_tests.host.nft_rule import NftRule

_NAMED_QUOTA = re.compile(r'\bquota name "([^"]+)"')


def command(
    rule: NftRule, packet: PacketSeen, memory: FilterMemory, beside: Sequence[NftRule]
) -> tuple[str, str] | None:
    """The command for what a rule stopped, and when that would be so again; None where the packet itself undoes it.

    `beside` are all rules: one that puts the packet's address into the set at once leaves nothing gained.
    """
    place = f"{rule.chain.family} {rule.chain.table}"
    named = _NAMED_QUOTA.search(rule.words)
    quota = memory.quotas.get((rule.chain.family, rule.chain.table, named[1])) if named else None
    if named and quota and quota.over and quota.used_bytes >= quota.limit_bytes:
        return f"sudo nft reset quota {place} {named[1]}", f"after {quota.limit_bytes} bytes more"
    for name, address in _memberships(rule, packet):
        filling = [each for each in beside if each.chain.family == rule.chain.family and _fills(each, rule, name)]
        if any(each.covers(seen) is not False for each in filling for seen in _seen_by(each, rule, packet)):
            continue
        again = f"after a packet that meets {filling[0].words}" if filling else "when it is put there again"
        return f"sudo nft delete element {place} {name} {{ {address} }}", again
    return None


def _memberships(rule: NftRule, packet: PacketSeen) -> list[tuple[str, str]]:
    """The sets in which the packet's address surely was, with that address, where being there is what is asked for."""
    found: list[tuple[str, str]] = []
    for match in (part["match"] for part in rule.expression if "match" in part):
        right, left = match.get("right"), match.get("left")
        elements = list(right.get("set", ())) if isinstance(right, dict) else []
        known, value = packet.value_of(left) if isinstance(left, dict) else (False, None)
        # What lasted is written beside the name of its set.
        if known and match.get("op") != "!=" and value in elements and str(elements[-1]).startswith("@"):
            found.append((str(elements[-1])[1:], str(value)))
    return [(name, value) for name, value in found if _is_address(value)]


def _seen_by(filling: NftRule, asking: NftRule, packet: PacketSeen) -> tuple[PacketSeen, ...]:
    """A packet, and what answers it where that passes the rule, too: not by the hook of what goes the other way."""
    one_way = filling.chain.hook in ("input", "output") and filling.chain.hook == asking.chain.hook
    return (packet,) if one_way else (packet, packet.answer())


def _is_address(value: str) -> bool:
    try:
        ip_address(value)
    except ValueError:
        return False
    return True


def _fills(rule: NftRule, asking: NftRule, name: str) -> bool:
    """Whether a rule puts something into a set of the table in which another rule asks for it."""
    return rule.chain.table == asking.chain.table and any(
        part.get("set", {}).get("set") == f"@{name}" for part in rule.expression
    )
