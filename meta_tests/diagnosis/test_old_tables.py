"""What iptables-legacy counted: only what may be about the packet, and the remedy lets that alone pass."""

import pytest

from qemunet_tests.diagnosis.lost_frame import old_tables
from qemunet_tests.host.nft_match import PacketSeen

#: As `iptables-legacy -vS` of 1.8.9 prints it.
LISTING = """\
-P INPUT ACCEPT -c 3 180
-P FORWARD DROP -c 5 300
-P OUTPUT DROP -c 7 420
-N ours
-A OUTPUT -c 9 540 -j ours
-A OUTPUT ! -d 10.0.0.1/32 -p udp -m udp --dport 5353 -c 11 660 -j DROP
-A OUTPUT -p tcp -m tcp --dport 22 -c 1 60 -j ACCEPT
-A ours -d 192.168.77.0/24 -p tcp -m tcp --dport 7000:7100 -c 13 780 -j REJECT --reject-with icmp-port-unreachable
"""
CALL = PacketSeen("tcp", destination="192.168.77.1", port=7007)
ACCEPT = "sudo iptables-legacy -I OUTPUT -d 192.168.77.1 -p tcp --dport 7007 -j ACCEPT"


def stopped(hook: str, packet: PacketSeen, bridged: bool = False) -> list[tuple[str, str | None]]:
    risen = dict(old_tables.counts(LISTING))
    return [(each.reason, each.remedy) for each in old_tables.stopping(hook, packet, risen, bridged)]


def test_a_rule_of_any_chain_that_the_hook_leads_to_is_named() -> None:
    assert stopped("OUTPUT", CALL) == [
        ("iptables-legacy: -P OUTPUT DROP, which counted it", ACCEPT),
        (
            "iptables-legacy: -A ours -d 192.168.77.0/24 -p tcp -m tcp --dport 7000:7100 -j REJECT --reject-with "
            "icmp-port-unreachable, which counted it",
            ACCEPT,
        ),
    ]
    assert stopped("INPUT", CALL) == []


@pytest.mark.parametrize(
    ("packet", "rules"),
    [
        (PacketSeen("tcp", destination="192.168.77.1", port=7101), 1),
        (PacketSeen("tcp", destination="192.168.78.1", port=7007), 1),
        (PacketSeen("udp", destination="192.168.77.1", port=53), 1),
        # What a match with `!` is about is not told here.
        (PacketSeen("udp", destination="10.0.0.1", port=5353), 2),
        (PacketSeen("icmp", destination="192.168.77.1", kind="echo-request"), 1),
    ],
)
def test_a_rule_about_other_packets_is_no_cause_whatever_it_counts(packet: PacketSeen, rules: int) -> None:
    assert len(stopped("OUTPUT", packet)) == rules


@pytest.mark.parametrize(("link", "rules"), [("tun0", 1), ("br0", 0), (None, 1)])
def test_a_rule_about_another_link_is_no_cause(link: str | None, rules: int) -> None:
    listed = '-A OUTPUT -o tun+ -m comment --comment "of -s and -d" -c 2 120 -j DROP'
    risen = dict(old_tables.counts(listed))
    assert len([*old_tables.stopping("OUTPUT", CALL.at(None, link), risen, bridged=False)]) == rules


def test_what_stays_in_a_bridge_is_let_through_with_its_answers() -> None:
    (_, of_bridge), (_, routed) = *stopped("FORWARD", CALL, bridged=True), *stopped("FORWARD", CALL)
    assert of_bridge == "sudo iptables-legacy -I FORWARD -m physdev --physdev-is-bridged -j ACCEPT"
    answers = " && sudo iptables-legacy -I FORWARD -m conntrack --ctstate ESTABLISHED -j ACCEPT"
    assert routed == f"{ACCEPT.replace('OUTPUT', 'FORWARD')}{answers}"
    assert stopped("FORWARD", CALL.answer())[0][1] == (
        "sudo iptables-legacy -I FORWARD -s 192.168.77.1 -p tcp --sport 7007 -j ACCEPT"
    )


def test_answers_that_a_rule_is_not_about_need_no_word() -> None:
    risen = dict(old_tables.counts("-A FORWARD -d 192.168.77.1/32 -c 2 120 -j DROP"))
    (found,) = old_tables.stopping("FORWARD", CALL, risen, bridged=False)
    assert found.remedy == ACCEPT.replace("OUTPUT", "FORWARD")
