"""Rules that decide by what they remember, as nft lists them in a namespace: what is certain of a packet, and why."""

import json
from collections.abc import Iterator
from dataclasses import replace

import pytest

from meta_tests.samples.network_stack import NetworkStack
from qemunet_tests.host import nft_listing, nft_memory, nft_ruleset
from qemunet_tests.host.nft_match import PacketSeen
from qemunet_tests.host.nft_rule import Risen
from qemunet_tests.host.nft_ruleset import Ruleset

TO_THE_LAN = PacketSeen("tcp", "192.168.50.2", "192.168.50.1", 40000, 7007, leaving_by="br0")
ASKED = PacketSeen("udp", "192.168.50.2", "192.168.50.1", 40000, 53)
CHAIN = "chain output { type filter hook output priority 0; "
RAW = "chain raw { type filter hook output priority raw; "


@pytest.fixture
def stack() -> Iterator[NetworkStack]:
    made = NetworkStack()
    yield made
    made.close()


def listed(stack: NetworkStack, within: str) -> Ruleset:
    """What is listed of one table, of which this is the inside."""
    stack.type(f"nft -f - <<'END'\ntable inet t {{ {within}; }}\nEND")
    found = nft_ruleset.read(stack.ask)
    assert found is not None
    return found


def unchanged(ruleset: Ruleset) -> Risen:
    """What is known where two listings were the same: no rule has counted anything."""
    return {key: count for key, count in nft_memory.stayed(ruleset.counts, ruleset.counts).items()
            if isinstance(key, tuple)}  # fmt: skip


def certain(ruleset: Ruleset, packet: PacketSeen, risen: Risen | None) -> list[bool]:
    return [stop.certain for stop in ruleset.stops(packet, risen)]


#: A rule with a quota, and what is certain of its stops: nothing having changed, something having, of the next packet.
QUOTAS = [
    ("", "quota over 25 mbytes used 25 mbytes drop", [True], [False], [True]),
    ("", "quota over 25 mbytes used 7 kbytes drop", [], [], [False]),
    ("", "quota 25 mbytes used 25 mbytes drop", [], [False], []),
    ("", "quota 25 mbytes used 3 bytes drop", [True], [True], [False]),
    ("", "tcp dport 22 quota over 2 bytes used 2 bytes drop", [], [], []),
    ("", "meta mark 1 quota over 2 bytes used 2 bytes drop", [False], [False], [False]),
    ("quota q { over 9 bytes used 9 bytes; };", 'quota name "q" drop', [True], [False], [True]),
    ("quota q { over 9 bytes used 2 bytes; };", 'quota name "q" drop', [], [], [False]),
    ("quota q { until 9 bytes used 9 bytes; };", 'quota name "q" accept; drop', [True], [False], [True]),
    ("quota q { until 9 bytes used 2 bytes; };", 'quota name "q" accept; drop', [], [], [False]),
]


@pytest.mark.parametrize(("declared", "rule", "same", "changed", "next_one"), QUOTAS)
def test_a_quota_that_was_used_up_before_stops_what_comes(
    stack: NetworkStack, declared: str, rule: str, same: list[bool], changed: list[bool], next_one: list[bool]
) -> None:
    ruleset = listed(stack, f"{declared} {CHAIN} {rule}; }}")
    assert certain(ruleset, TO_THE_LAN, unchanged(ruleset)) == same
    assert certain(ruleset, TO_THE_LAN, {}) == changed
    assert certain(ruleset, TO_THE_LAN, None) == next_one


@pytest.mark.parametrize("rule", ["quota over 9 bytes used 9 bytes drop", "ip daddr @seen drop"])
def test_words_alone_tell_nothing_of_what_is_remembered(stack: NetworkStack, rule: str) -> None:
    """As an nft that was built without JSON lists it."""
    ruleset = listed(stack, f"{BANNED} {CHAIN} {rule}; tcp dport 22 add @seen {{ ip daddr }}; }}")
    listing = nft_listing.read(stack.ask)
    assert listing is not None
    assert certain(ruleset, TO_THE_LAN, unchanged(ruleset)) == [True]
    for in_json in ("", "{}", '{"nftables": 5}', json.dumps({"nftables": []})):
        assert certain(nft_ruleset.parse(listing.words, in_json), TO_THE_LAN, {}) == [False]


def test_a_named_quota_is_reset(stack: NetworkStack) -> None:
    ruleset = listed(stack, f'quota q {{ over 9 bytes used 9 bytes; }}; {CHAIN} quota name "q" drop; }}')
    (stop,) = ruleset.stops(TO_THE_LAN, unchanged(ruleset))
    remedy = stop.obstacle.remedy or ""
    assert remedy.startswith(
        "sudo nft reset quota inet t q; it stops the like again after 9 bytes more: for good, sudo"
    )
    stack.type(remedy.removeprefix("sudo ").partition("; ")[0])
    again = nft_ruleset.read(stack.ask)
    assert again is not None
    assert again.stops(TO_THE_LAN, unchanged(again)) == []


BANNED = "set seen { type ipv4_addr; flags dynamic,timeout; timeout 1h; elements = { 192.168.50.1 }; };"
BY_PORT_22 = "tcp dport 22 add @seen { ip daddr }"


@pytest.mark.parametrize(
    ("declared", "filling", "rule", "expected"),
    [
        (BANNED, BY_PORT_22, "ip daddr @seen drop", [True]),
        (BANNED, BY_PORT_22, "ip saddr @seen drop", [False]),
        (BANNED, BY_PORT_22, "ip daddr != @seen drop", []),
        (BANNED, BY_PORT_22, "tcp dport 22 ip daddr @seen drop", []),
        (BANNED.replace("192.168.50.1", "192.168.50.9"), BY_PORT_22, "ip daddr @seen drop", [False]),
        # For a moment it may not have been there.
        (BANNED.replace("1h", "5s"), BY_PORT_22, "ip daddr @seen drop", [False]),
        (BANNED.replace("192.168.50.1", "192.168.50.1 timeout 5s"), BY_PORT_22, "ip daddr @seen drop", [False]),
        (BANNED, f"{BY_PORT_22}; tcp dport 23 delete @seen {{ ip daddr }}", "ip daddr @seen drop", [False]),
        # Some packets to an address meet it, and some do not.
        (BANNED, BY_PORT_22, "update @seen { ip daddr limit rate over 1/hour } drop", [False]),
        (BANNED, BY_PORT_22, "limit rate over 1/hour drop", [False]),
    ],
)
def test_who_was_in_a_set_before_and_after_was_in_it(
    stack: NetworkStack, declared: str, filling: str, rule: str, expected: list[bool]
) -> None:
    ruleset = listed(stack, f"{declared} {CHAIN} {rule}; {filling}; }}")
    assert certain(ruleset, TO_THE_LAN, unchanged(ruleset)) == expected
    # Who came there meanwhile may have come after the packet.
    assert True not in certain(ruleset, TO_THE_LAN, {})
    assert True not in certain(ruleset, TO_THE_LAN, None)


@pytest.mark.parametrize(
    ("filling", "remedy"),
    [
        (BY_PORT_22, "sudo nft delete element inet t seen { 192.168.50.1 }; it stops the like again after a packet "
         "that meets tcp dport 22 add @seen { ip daddr }: for good, sudo nft insert rule inet t output "),
        ("tcp dport 7007 add @seen { ip daddr }", "sudo nft insert rule inet t output position "),
        # What answers comes by another hook: only from there can it bring the address back.
        ("tcp sport 7007 add @seen { ip saddr }", "sudo nft delete element inet t seen { 192.168.50.1 }; "),
        ("accept; }; chain input { type filter hook input priority 0; tcp sport 7007 add @seen { ip saddr }",
         "sudo nft insert rule inet t output position "),
        ("meta mark 1 add @seen { ip saddr }", "sudo nft insert rule inet t output position "),
    ],
)  # fmt: skip
def test_an_address_is_taken_out_where_it_would_not_come_back(stack: NetworkStack, filling: str, remedy: str) -> None:
    ruleset = listed(stack, f"{BANNED} {CHAIN} ip daddr @seen drop; {filling}; }}")
    (stop,) = ruleset.stops(TO_THE_LAN, unchanged(ruleset))
    assert (stop.obstacle.remedy or "").startswith(remedy), stop.obstacle.remedy
    stack.type((stop.obstacle.remedy or "").removeprefix("sudo ").partition("; ")[0])
    again = nft_ruleset.read(stack.ask)
    assert again is not None
    assert True not in certain(again, TO_THE_LAN, unchanged(again))


@pytest.mark.parametrize(
    ("rule", "acted"),
    [
        ("limit rate over 1/second counter drop", True),
        ("counter limit rate over 1/second drop", False),
        ("meta mark 1 counter drop", True),
        ("counter meta mark 1 drop", False),
        ("meta mark 1 counter tcp dport 7007 drop", True),
    ],
)
def test_a_counter_proves_only_what_stands_before_it(stack: NetworkStack, rule: str, acted: bool) -> None:
    ruleset = listed(stack, f"{CHAIN} {rule}; }}")
    assert certain(ruleset, TO_THE_LAN, {ruleset.rules[0].key: 1}) == [acted]
    assert certain(ruleset, TO_THE_LAN, {}) == []


LATE = RAW.replace("priority raw", "priority -180")
DROPS = f"{CHAIN} ct state untracked drop; }};"


@pytest.mark.parametrize(
    ("chains", "expected"),
    [
        (DROPS, []),
        (f"{DROPS} {RAW} notrack; }}", [True]),
        (f"{DROPS} {RAW.replace('raw;', '-350;')} tcp dport 7007 notrack; }}", [True]),
        (f"{DROPS} {RAW} tcp dport 22 notrack; }}", []),
        (f"{DROPS} {RAW} meta mark 1 notrack; }}", [False]),
        (f"{DROPS} {RAW} tcp dport 7007 accept; notrack; }}", []),
        (f"{DROPS} {RAW} meta mark 1 accept; notrack; }}", [False]),
        (f"{DROPS} {RAW} counter notrack; }}", []),
        # What comes after conntrack changes nothing.
        (f"{DROPS} {LATE} notrack; }}", []),
        (f"{DROPS} {RAW.replace('output', 'prerouting')} notrack; }}", []),
        (f"{CHAIN} ct state new drop; }}; {RAW} notrack; }}", []),
        (f"{CHAIN} ct direction original drop; }}; {RAW} notrack; }}", [False]),
        (f"{CHAIN} tcp flags syn drop; }}; {RAW} notrack; }}", [True]),
    ],
)
def test_a_packet_is_untracked_where_a_rule_keeps_conntrack_from_it(
    stack: NetworkStack, chains: str, expected: list[bool]
) -> None:
    ruleset = listed(stack, chains)
    assert certain(ruleset, TO_THE_LAN, unchanged(ruleset)) == expected


@pytest.mark.parametrize(
    ("asked", "rules", "expected"),
    [
        (ASKED, "ct state established accept", [True]),
        (ASKED, "ct state new accept", []),
        (ASKED, "ct state untracked accept", [True]),
        (TO_THE_LAN, "ct state invalid drop; accept", [True]),
        (TO_THE_LAN, "ct state established accept; ct state new accept", [True]),
        (replace(ASKED, port=99), "ct state established accept", []),
    ],
)
def test_what_answers_an_untracked_question_is_established_in_nothing(
    stack: NetworkStack, asked: PacketSeen, rules: str, expected: list[bool]
) -> None:
    filters = f"chain input {{ type filter hook input priority 0; policy drop; {rules}; }};"
    ruleset = listed(stack, f"{filters} {RAW} udp dport 53 notrack; tcp dport 7007 notrack; }}")
    stops = [stop for stop in ruleset.stops(asked.answer(), unchanged(ruleset)) if stop.hook == "input"]
    assert [stop.certain for stop in stops] == expected
    for stop in stops:
        remedy = stop.obstacle.remedy or ""
        if "left untracked by table inet t, chain raw: " in stop.obstacle.reason:
            assert remedy.startswith("sudo nft insert rule inet t raw position "), remedy
            assert f"{asked.protocol} dport {asked.port} accept" in remedy


def test_the_next_question_comes_from_another_port(stack: NetworkStack) -> None:
    filters = "chain input { type filter hook input priority 0; policy drop; ct state established accept; };"
    ruleset = listed(stack, f"{filters} {RAW} udp dport 53 notrack; }}")
    answer = replace(ASKED.answer(), passing=True)
    (stop,) = [stop for stop in ruleset.stops(answer, unchanged(ruleset)) if stop.hook == "input"]
    assert (stop.obstacle.remedy or "").endswith(" ip saddr 192.168.50.2 ip daddr 192.168.50.1 udp dport 53 accept")
