"""What becomes of packets that the packet filter queues for a program."""

from collections.abc import Iterator

import pytest

from meta_tests.samples.network_stack import NetworkStack
from qemunet_tests.host import nft_listing, nft_queues, nft_ruleset
from qemunet_tests.host.nft_match import PacketSeen

QUESTION = PacketSeen("udp", "192.168.50.2", "192.168.50.1", 40000, 53)
#: As OpenSnitch and an IPS write it, the first before a rule that drops.
QUEUES = """
iptables-nft -t mangle -A OUTPUT -p udp --dport 53 -j NFQUEUE --queue-num 0 --queue-bypass
iptables-nft -t mangle -A OUTPUT -p udp --dport 53 -j DROP
iptables-nft -A OUTPUT -p udp --dport 53 -j NFQUEUE --queue-balance 4:5
"""


@pytest.mark.parametrize(
    ("words", "programs", "becomes"),
    [
        ("tcp dport 7 counter packets 0 bytes 0 queue num 0", (), "drop"),
        ("tcp dport 7 queue to 0", (1, 2), "drop"),
        ("tcp dport 7 queue to 0", (0,), "asks"),
        ("queue num 0-3 bypass", (), "accept"),
        ("queue num 0-3 bypass", (2,), "asks"),
        ("queue flags bypass,fanout to 3-5", (), "accept"),
        ("queue flags bypass to symhash mod 4", (1,), "asks"),
        ("tcp dport 7 drop", (0,), None),
    ],
)
def test_what_becomes_of_it(words: str, programs: tuple[int, ...], becomes: str | None) -> None:
    assert nft_queues.becomes(words, frozenset(programs)) == becomes


@pytest.fixture
def stack() -> Iterator[NetworkStack]:
    made = NetworkStack()
    yield made
    made.close()


@pytest.mark.parametrize(
    ("programs", "expected"),
    [
        # What nobody takes passes the first queue, and is dropped at the second.
        ((), [("filter", True)]),
        # Whether a program takes it, and what it says then, is not known.
        ((0, 5), [("filter", False), ("mangle", False)]),
    ],
)
def test_who_is_blamed_for_what_is_queued(
    stack: NetworkStack, programs: tuple[int, ...], expected: list[tuple[str, bool]]
) -> None:
    stack.type(QUEUES)
    listed = nft_listing.read(stack.ask)
    assert listed is not None and not listed.queues
    ruleset = nft_ruleset.parse(listed.words, listed.in_json, frozenset(programs))
    found = ruleset.stops(QUESTION, {rule.key: 1 for rule in ruleset.rules if rule.queued})
    assert sorted((stop.chain.table, stop.certain) for stop in found) == expected
    if not programs:
        assert "no program takes what is queued there" in found[0].obstacle.reason
