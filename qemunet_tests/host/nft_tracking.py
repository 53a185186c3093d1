"""What conntrack calls a packet where rules keep it from being tracked. Source: nft(8), "NOTRACK STATEMENT"."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from qemunet_tests.host.nft_match import PacketSeen
from qemunet_tests.host.nft_rule import NftChain, NftRule, Risen, met

_PRIORITY = re.compile(r"priority (?:(?P<raw>raw)\b|(?P<number>-?\d+);)")
#: NF_IP_PRI_CONNTRACK of the kernel's netfilter_ipv4.h: what comes later finds the packet tracked.
_CONNTRACK = -200
_ENDING = frozenset({"accept", "return", "goto", "jump", "drop", "reject", "queue"})
#: What the first packet that conntrack sees of a conversation is called where it is an answer.
_UNASKED = {"udp": "new", "tcp": "invalid", "icmp": "invalid"}


@dataclass(frozen=True)
class Tracked:
    """A packet with its state, and the rule by which that is another than is usual, with the words for what it met."""

    packet: PacketSeen
    rule: NftRule | None = None
    words: str = ""


def tracked(packet: PacketSeen, hook: str | None, rules: Sequence[NftRule], risen: Risen | None) -> Tracked:
    """The packet as rules at a hook see it; its state is None where it cannot be told."""
    if packet.state not in ("new", "established") or packet.protocol == "arp":
        return Tracked(packet)
    own, found = _untracking(packet, _first_hooks(hook), rules, risen)
    if found or not packet.answers:
        state = packet.state if not found else ("untracked" if own else None)
        return Tracked(replace(packet, state=state), found, packet.words)
    asked = replace(packet.answer(), state="new", answers=False)
    if packet.passing:  # the next question comes from another port
        asked = replace(asked, source_port=None)
    first = {"input": ("output",), "output": ("prerouting",)}.get(hook or "", ("prerouting", "output"))
    certain, found = _untracking(asked, first, rules, risen)
    if found is None:
        return Tracked(packet)
    return Tracked(replace(packet, state=_UNASKED.get(packet.protocol) if certain else None), found, asked.words)


def _first_hooks(hook: str | None) -> tuple[str, ...]:
    """Where a packet at a hook was first met."""
    return ("output",) if hook == "output" else (("prerouting", "output") if hook == "postrouting" else ("prerouting",))


def _untracking(
    packet: PacketSeen, hooks: tuple[str, ...], rules: Sequence[NftRule], risen: Risen | None
) -> tuple[bool, NftRule | None]:
    """Whether a rule at these hooks surely left a packet untracked, and the one that did or may have."""
    chains = {rule.chain for rule in rules if "notrack" in rule.does}
    found = [each for chain in chains for each in _in_chain(chain, packet, hooks, rules, risen)]
    sure = next((rule for rule, certain in found if certain), None)
    if sure is not None and len(hooks) == 1:
        return True, sure
    return False, sure or next((rule for rule, _ in found), None)


def _in_chain(
    chain: NftChain, packet: PacketSeen, hooks: tuple[str, ...], rules: Sequence[NftRule], risen: Risen | None
) -> Iterator[tuple[NftRule, bool]]:
    """The rules of a chain that leave a packet untracked, or may; to chains without a hook others may send it."""
    if chain.family not in ("ip", "ip6", "inet", packet.family) or (chain.hook and not _comes_first(chain, hooks)):
        return
    doubtful = chain.hook is None
    for rule in (each for each in rules if each.chain == chain):
        about = met(rule, packet, risen)
        if about is False:
            continue
        if "notrack" in rule.does:
            yield rule, bool(about) and not doubtful
        if rule.does & _ENDING:
            if about and not rule.does & {"jump"}:
                return
            doubtful = True


def _comes_first(chain: NftChain, hooks: tuple[str, ...]) -> bool:
    priority = _PRIORITY.search(chain.base)
    return chain.hook in hooks and bool(priority and (priority["raw"] or int(priority["number"]) < _CONNTRACK))
