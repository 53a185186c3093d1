"""The packet filter as nft lists it, and which of its rules are about a packet: asked of nft in a namespace."""

import json
import re
from collections.abc import Iterator
from dataclasses import replace

import pytest

from meta_tests.samples.network_stack import NetworkStack
from qemunet_tests.host import nft_ruleset
from qemunet_tests.host.nft_match import PacketSeen
from qemunet_tests.host.nft_ruleset import Ruleset

#: As distributions set it up: policy drop, what is wanted is accepted, some of the rest dropped by name.
DISTRIBUTIONS = """
table inet filter {
  chain input { type filter hook input priority filter; policy drop; ct state established,related accept
    ct state invalid drop; iif "lo" accept; meta l4proto { icmp, ipv6-icmp } accept; tcp dport { 22, 8000-8080 } accept
    udp sport 67 udp dport 68 accept; tcp dport 23 drop; }
  chain output { type filter hook output priority filter; policy accept; tcp dport 25 drop;
    udp dport 53 ip daddr 192.168.50.0/24 meta skuid 65534 reject comment "accept nobody"
    tcp dport vmap { 1 : drop, 2 : accept }; }
}
table ip nat {
  chain OUTPUT { type nat hook output priority -100; tcp dport 2222 fib daddr type local dnat to 10.244.0.5:22; }
  chain PREROUTING { type nat hook prerouting priority -100; tcp dport 7777 redirect to :20559; }
}
table netdev here {
  chain in { type filter hook ingress device "lo" priority 0; policy accept; icmp type echo-request drop; }
}
"""
SSH, TELNET = PacketSeen("tcp", port=22), PacketSeen("tcp", port=23)
QUESTION = PacketSeen("udp", "192.168.50.2", "192.168.50.1", 40000, 53, user=65534)


@pytest.fixture
def stack() -> Iterator[NetworkStack]:
    made = NetworkStack()
    yield made
    made.close()


@pytest.fixture
def listed(stack: NetworkStack) -> Ruleset:
    stack.type(f"nft -f - <<'END'\n{DISTRIBUTIONS}\nEND")
    found = nft_ruleset.read(stack.ask)
    assert found is not None
    return found


def reasons(ruleset: Ruleset, hook: str, packet: PacketSeen) -> list[str]:
    return [stop.obstacle.reason.partition(f"chain {hook}: ")[2] for stop in ruleset.stops(packet) if stop.hook == hook]


@pytest.mark.parametrize(
    ("packet", "at_input", "at_output"),
    [
        (SSH, [], []),
        (PacketSeen("tcp", port=8042), [], []),
        (TELNET, ["tcp dport 23 drop"], []),
        (PacketSeen("tcp", port=1), ["policy drop"], ["1 : drop"]),
        (PacketSeen("tcp", port=2), ["policy drop"], []),
        (PacketSeen("icmp"), [], []),
        (PacketSeen("udp", source_port=67, port=68), [], []),
        (QUESTION, ["policy drop"], ["reject"]),
        (PacketSeen("udp", "192.168.50.2", "9.9.9.9", 40000, 53, user=65534), ["policy drop"], []),
        (PacketSeen("udp", "192.168.50.2", "192.168.50.1", 40000, 53, user=1), ["policy drop"], []),
        (PacketSeen("tcp", port=25), ["policy drop"], ["tcp dport 25 drop"]),
        (PacketSeen("tcp", port=25, coming_by="lo"), [], ["tcp dport 25 drop"]),
    ],
)
def test_only_what_is_about_a_packet_stops_it(
    listed: Ruleset, packet: PacketSeen, at_input: list[str], at_output: list[str]
) -> None:
    for hook, expected in (("input", at_input), ("output", at_output)):
        found = reasons(listed, hook, packet)
        # Whether it comes in by the loopback is not known of a packet whose link is not.
        assert len(found) == len(expected), found
        assert all(words in said for words, said in zip(expected, found, strict=True))


def test_a_remedy_takes_away_what_is_named(stack: NetworkStack, listed: Ruleset) -> None:
    (stop,) = [stop for stop in listed.stops(QUESTION) if stop.hook == "output"]
    assert stop.obstacle.remedy is not None
    stack.type(stop.obstacle.remedy.removeprefix("sudo "))
    assert not [stop for stop in nft_ruleset.stops(stack.ask, QUESTION) if stop.hook == "output"]


def test_where_a_packet_is_sent_elsewhere(listed: Ruleset) -> None:
    to_us, to_others = (PacketSeen("tcp", port=2222, to_this_host=ours) for ours in (True, False))
    assert [rule.handle for rule, certain in listed.translating("output", to_us) if certain]
    assert not listed.translating("output", to_others)
    assert not listed.translating("output", SSH)
    assert listed.translating("prerouting", PacketSeen("tcp", port=7777))


def test_what_a_proxy_leaves_alone_is_not_sent_elsewhere(stack: NetworkStack) -> None:
    """As proxies write it: what is for this host and its networks goes on before all else is redirected."""
    stack.type("""nft 'table ip proxy {
      chain output { type nat hook output priority -100; ip daddr { 10.0.0.0/8, 127.0.0.0/8 } return; jump rest; }
      chain rest { meta skuid 7 accept; tcp dport 25 accept; meta l4proto tcp redirect to :7892; }
    }'""")
    ruleset = nft_ruleset.read(stack.ask)
    assert ruleset is not None
    calls = {
        "127.0.0.1": [],
        "198.51.100.1": [True],
        # Who it is for, or from, is not known.
        None: [False],
    }
    for address, expected in calls.items():
        called = PacketSeen("tcp", destination=address, port=2222, user=8)
        assert [certain for _, certain in ruleset.translating("output", called)] == expected
    of_somebody = PacketSeen("tcp", destination="198.51.100.1", port=2222)
    assert [certain for _, certain in ruleset.translating("output", of_somebody)] == [False]
    assert not ruleset.translating("output", PacketSeen("tcp", destination="198.51.100.1", port=25, user=8))


#: As guards against forged addresses are written.
MACS = """nft 'table bridge guard {
  chain forward { type filter hook forward priority 0
    tcp dport 1 ether saddr != 52:54:00:00:00:01 drop
    tcp dport 2 ether saddr & ff:ff:ff:00:00:00 != 52:54:00:00:00:00 drop
    tcp dport 3 ether saddr { 52:54:00:00:00:01, 52:54:00:00:00:02 } drop
    tcp dport 4 ether saddr 52:54:00:00:00:01-52:54:00:00:00:0f drop
    tcp dport 5 ether daddr 52:54:00:00:00:01 drop; }
}'"""


@pytest.mark.parametrize(
    ("mac", "stopped"),
    [
        ("52:54:00:00:00:01", [(3, True), (4, True), (5, False)]),
        ("52:54:00:00:00:0a", [(1, True), (4, True), (5, False)]),
        ("02:71:6e:34:b3:66", [(1, True), (2, True), (5, False)]),
        (None, [(port, False) for port in (1, 2, 3, 4, 5)]),
    ],
)
def test_who_sent_a_frame_is_known_by_his_mac(
    stack: NetworkStack, mac: str | None, stopped: list[tuple[int, bool]]
) -> None:
    stack.type(MACS)
    ruleset = nft_ruleset.read(stack.ask)
    assert ruleset is not None
    found = [
        (port, stop.certain)
        for port in (1, 2, 3, 4, 5)
        for stop in ruleset.stops(PacketSeen("tcp", "10.0.0.1", "10.0.0.2", port=port, source_mac=mac))
    ]
    assert found == stopped


def test_what_stands_at_one_link(listed: Ruleset) -> None:
    (stop,) = [stop for stop in listed.stops(PacketSeen("icmp", kind="echo-request")) if stop.family == "netdev"]
    assert stop.concerns("lo")
    assert not stop.concerns("br0")


def test_what_iptables_alone_understands_may_be_about_anything() -> None:
    rule = 'xt match "recent" drop # handle 4'
    base = "type filter hook input priority filter; policy accept;"
    text = f"table ip filter {{\n\tchain INPUT {{\n\t\t{base}\n\t\t{rule}\n\t}}\n}}\n"
    named = {"family": "ip", "table": "filter", "chain": "INPUT", "handle": 4}
    in_json = json.dumps({"nftables": [{"rule": {**named, "expr": [{"xt": None}, {"drop": None}]}}]})
    assert nft_ruleset.parse(text, in_json).rules[0].covers(SSH) is None
    assert nft_ruleset.parse(text, "").rules[0].covers(SSH) is None


def test_who_is_told_nothing(stack: NetworkStack) -> None:
    assert nft_ruleset.read(lambda words: stack.ask(["false", *words])) is None


#: Whose last rule is what decides, as in a kill switch, and a container engine's chains in chains.
OTHERS = """
table inet killswitch {
  chain output { type filter hook output priority 0; policy drop; oif "lo" accept; udp dport { 67, 68 } accept
    ip daddr 192.168.50.1 jump to_lan; meta length > 1000 drop; reject; }
  chain to_lan { tcp dport 25 drop; tcp dport 80 accept; limit rate 1/minute tcp dport 81 drop; tcp dport 81 return; }
}
table bridge zones {
  chain forward { type filter hook forward priority 0; policy drop; ip protocol vmap { tcp : jump open, udp : drop }
    ether type arp accept; udp dport 5353 counter drop; ip protocol { 47, 132 } drop; }
  chain open { meta mark 7 counter drop; tcp dport 22 return; accept; }
}
"""


@pytest.mark.parametrize(
    ("packet", "hook", "expected"),
    [
        (
            PacketSeen("udp", None, "192.168.50.1", None, 53, leaving_by="br0", size_bytes=60),
            "output",
            [("reject", True)],
        ),
        (PacketSeen("udp", None, "192.168.50.1", None, 53, leaving_by="lo"), "output", []),
        (PacketSeen("tcp", None, "192.168.50.1", None, 25, leaving_by="br0"), "output", [("tcp dport 25 drop", True)]),
        (PacketSeen("tcp", None, "192.168.50.1", None, 80, leaving_by="br0"), "output", []),
        (
            PacketSeen("tcp", None, "192.168.50.1", None, 81, leaving_by="br0", size_bytes=60),
            "output",
            [("limit rate 1/minute", False), ("reject", False)],
        ),
        (PacketSeen("icmp", None, "9.9.9.9", leaving_by="br0", size_bytes=1500), "output", [("length > 1000", True)]),
        (PacketSeen("udp", None, None, None, 67), "forward", [("udp : drop", True)]),
        (PacketSeen("tcp", None, None, None, 22), "forward", [("mark", False), ("policy drop", False)]),
        (PacketSeen("tcp", None, None, None, 23), "forward", [("mark", False)]),
        (PacketSeen("arp", kind="reply"), "forward", []),
        (PacketSeen("sctp"), "forward", [("ip protocol { 47, 132 } drop", True)]),
        (PacketSeen("icmp"), "forward", [("policy drop", True)]),
    ],
)
def test_a_packet_is_followed_through_all_chains(
    stack: NetworkStack, packet: PacketSeen, hook: str, expected: list[tuple[str, bool]]
) -> None:
    stack.type(f"nft -f - <<'END'\n{OTHERS}\nEND")
    ruleset = nft_ruleset.read(stack.ask)
    assert ruleset is not None
    found = [stop for stop in ruleset.stops(packet) if stop.hook == hook]
    assert len(found) == len(expected), found
    # nft knows some protocols by name.
    said = [(stop.obstacle.reason.replace("gre, sctp", "47, 132"), stop.certain) for stop in found]
    assert all(words in text and sure == known for (words, sure), (text, known) in zip(expected, said, strict=True)), (
        said
    )


def test_a_counter_proves_what_a_match_does_not_tell(stack: NetworkStack) -> None:
    """And one that has not risen proves that its rule met nothing."""
    stack.type(f"nft -f - <<'END'\n{OTHERS}\nEND")
    ruleset = nft_ruleset.read(stack.ask)
    assert ruleset is not None
    marked = next(rule for rule in ruleset.rules if "mark" in rule.words)
    ssh = PacketSeen("tcp", port=22)
    assert marked.key in ruleset.counts
    assert [("mark" in stop.obstacle.reason, stop.certain) for stop in ruleset.stops(ssh, {marked.key: 2})
            if stop.hook == "forward"] == [(True, True), (False, False)]  # fmt: skip
    assert [stop.certain for stop in ruleset.stops(ssh, {}) if stop.hook == "forward"] == [True]


@pytest.mark.parametrize(
    ("table", "chain", "said"),
    [
        ("inet firewalld", "filter_OUTPUT", "firewalld owns table inet firewalld, .* firewall-cmd"),
        ("ip filter", "ufw-user-output", "ufw owns table ip filter, .* ufw allow"),
        ("ip filter", "DOCKER-USER", "Docker owns table ip filter, .* DOCKER-USER"),
        ("inet killswitch", "out", "^sudo nft insert rule inet killswitch out position 2 udp dport 53 accept$"),
    ],
)
def test_who_undoes_a_remedy_is_named(stack: NetworkStack, table: str, chain: str, said: str) -> None:
    """Only that what is asked for may pass, and what somebody's next reload does to that."""
    stack.type(f"nft 'table {table} {{ chain {chain} {{ type filter hook output priority 0; udp dport 53 drop; }}; }}'")
    (stop,) = nft_ruleset.stops(stack.ask, PacketSeen("udp", port=53))
    remedy = stop.obstacle.remedy
    assert remedy is not None
    assert re.search(said, remedy), remedy
    stack.type(remedy.removeprefix("sudo ").partition("; ")[0])
    assert not nft_ruleset.stops(stack.ask, PacketSeen("udp", port=53))
    assert nft_ruleset.stops(stack.ask, PacketSeen("tcp", port=53)) == []


SETS = """
table ip lists {
  set blocked { type ipv4_addr; flags interval; elements = { 192.168.50.0/28, 10.1.0.1-10.1.0.9 }; }
  set ports { type inet_service; flags timeout; elements = { 53 timeout 1h, 25 comment "no mail" }; }
  set seen { type ipv4_addr; flags dynamic, timeout; elements = { 9.9.9.9 timeout 1h }; }
  set none { type ipv4_addr; }
  map fates { type ipv4_addr : verdict; elements = { 8.8.8.8 : drop, 8.8.4.4 : accept }; }
  chain output { type filter hook output priority 0; policy accept; ip daddr @none drop
    ip daddr @blocked udp dport @ports meta skgid 65534 drop; ip daddr vmap @fates; ip daddr @seen reject
    udp dport 99 add @seen { ip daddr }; }
}
"""


@pytest.mark.parametrize(
    ("packet", "certain", "doubtful"),
    [
        (replace(QUESTION, group=65534), "skgid 65534 drop", ""),
        (replace(QUESTION, group=1), "", "@seen reject"),
        (replace(QUESTION, group=65534, destination="192.168.50.77"), "", "@seen reject"),
        (replace(QUESTION, group=65534, destination="10.1.0.5", port=25), "skgid 65534 drop", ""),
        (replace(QUESTION, destination="8.8.8.8"), "vmap @fates", ""),
        (replace(QUESTION, destination="8.8.4.4"), "", ""),
        # What is in a set that packets change was so when it was listed.
        (replace(QUESTION, destination="9.9.9.9"), "", "@seen reject"),
    ],
)
def test_what_named_sets_and_maps_hold(stack: NetworkStack, packet: PacketSeen, certain: str, doubtful: str) -> None:
    stack.type(f"nft -f - <<'END'\n{SETS}\nEND")
    found = nft_ruleset.read(stack.ask)
    assert found is not None
    stops = [stop for stop in found.stops(packet) if stop.hook == "output"]
    for words, sure in ((certain, True), (doubtful, False)):
        said = " and ".join(stop.obstacle.reason for stop in stops if stop.certain is sure)
        assert words in said if words else not said


@pytest.mark.parametrize(("direction", "stopped"), [("original", (True, False)), ("reply", (False, True))])
def test_conntrack_calls_a_question_original_and_its_answer_a_reply(
    stack: NetworkStack, direction: str, stopped: tuple[bool, bool]
) -> None:
    stack.type("nft add table ip t; nft 'add chain ip t input { type filter hook input priority 0; }'")
    stack.type(f"nft add rule ip t input ct direction {direction} drop")
    ruleset = nft_ruleset.read(stack.ask)
    assert ruleset is not None
    for packet, expected in zip((SSH, SSH.answer()), stopped, strict=True):
        assert [stop.certain for stop in ruleset.stops(packet)] == [True] * expected
    # Of a packet that conntrack may know either way it is not told.
    assert [stop.certain for stop in ruleset.stops(replace(SSH, state=None))] == [False]


@pytest.mark.parametrize(("address", "stopped"), [("192.168.50.1", False), ("192.168.50.7", True)])
def test_a_table_of_arp_is_about_whose_address_it_names(stack: NetworkStack, address: str, stopped: bool) -> None:
    stack.type("nft 'table arp filter { chain input { type filter hook input priority 0; "
               "arp operation reply arp saddr ip 192.168.50.7 drop; }; }'")  # fmt: skip
    (found,) = [nft_ruleset.stops(stack.ask, PacketSeen("arp", address, kind="reply", state=None))]
    assert [stop.certain for stop in found] == [True] * stopped


@pytest.mark.parametrize(
    ("flags", "stopped"),
    [
        ("syn / syn,ack", True),
        ("& (fin | syn | rst | ack) == syn", True),
        ("syn", True),
        ("& (fin | syn | rst | ack) != syn", False),
        ("& (syn | ack) == ack", False),
        ("& (syn | ack) == syn | ack", False),
        ("& (syn | ack) != syn | ack", True),
        ("{ syn, ack }", True),
        ("& rst == rst", False),
    ],
)
def test_the_first_packet_of_a_connection_has_one_flag(stack: NetworkStack, flags: str, stopped: bool) -> None:
    stack.type("nft add table ip t; nft 'add chain ip t input { type filter hook input priority 0; }'")
    stack.type(f"nft 'add rule ip t input tcp flags {flags} drop'")
    ruleset = nft_ruleset.read(stack.ask)
    assert ruleset is not None
    assert [stop.certain for stop in ruleset.stops(SSH)] == [True] * stopped
    assert ruleset.stops(QUESTION) == []
    # What answers it bears others: which, is not known here.
    assert [stop.certain for stop in ruleset.stops(replace(SSH, state="established"))] == [False]


@pytest.mark.parametrize(
    ("also", "remedies"),
    [
        ("", ["sudo nft add rule ip t f ip daddr 192.168.50.1 udp sport 40000 udp dport 53 accept "
              "&& sudo nft add rule ip t f ct state established accept"]),
        ("ct state established,related accept", ["sudo nft add rule ip t f ip daddr 192.168.50.1 udp sport 40000 "
                                                 "udp dport 53 accept"]),
    ],
)  # fmt: skip
def test_answers_pass_a_router_as_well(stack: NetworkStack, also: str, remedies: list[str]) -> None:
    stack.type(f"nft 'table ip t {{ chain f {{ type filter hook forward priority 0; policy drop; {also}; }}; }}'")
    question = PacketSeen("udp", None, "192.168.50.1", 40000, 53, "br0", "eth0", to_this_host=False)
    stops = nft_ruleset.stops(stack.ask, question)
    assert [stop.obstacle.remedy for stop in stops if stop.hook == "forward"] == remedies
