"""Which way the kernel sends a packet, and which of many rules and routes decides that: only that one is named."""

import os
from collections.abc import Iterator

import pytest

from meta_tests.samples.network_stack import NetworkStack
from qemunet_tests.host import flow_lookup, route_lookup
from qemunet_tests.host.policy_rules import RoutedPacket
from qemunet_tests.host.route_lookup import PacketWay

LAN, OUTSIDE, QEMU = "192.168.50.1", "198.51.100.1", 65534 if os.geteuid() == 0 else 0
#: br0 with the LAN, and what stands on many hosts and keeps nothing back of what the tests ask for.
SET_UP = f"""
ip link add br0 type bridge; ip addr add 192.168.50.2/24 dev br0; ip addr add fd00:50::2/64 dev br0 nodad
ip link set br0 up; ip route add default via {LAN}; ip -6 route add default via fd00:50::1
ip link add tun0 type veth peer name tun1; ip link set tun1 up; ip link set tun0 up
ip rule add pref 11 from 10.9.9.0/24 prohibit
ip rule add pref 12 to 203.0.113.0/24 prohibit
ip rule add pref 14 fwmark 0x5 blackhole
ip route add blackhole 192.0.2.0/24
"""


@pytest.fixture
def stack() -> Iterator[NetworkStack]:
    made = NetworkStack()
    made.type(SET_UP)
    yield made
    made.close()


def test_the_way_of_a_healthy_host(stack: NetworkStack) -> None:
    assert route_lookup.way(stack.ask, OUTSIDE, QEMU) == PacketWay(OUTSIDE, "br0", LAN, "192.168.50.2")
    for address in (LAN, OUTSIDE, "192.168.50.2", "fd00:50::1", "2001:db8::1"):
        assert route_lookup.dead_end(stack.ask, address, QEMU) is None
        assert route_lookup.astray(stack.ask, address, QEMU) is None


@pytest.mark.parametrize(
    ("typed", "address", "uid", "entry"),
    [
        ("true", "203.0.113.9", QEMU, "the rule 12: from all to 203.0.113.0/24 prohibit says so"),
        ("ip rule add pref 13 uidrange 0-0 prohibit", OUTSIDE, 0, "the rule 13: from all uidrange 0-0 prohibit"),
        ("true", "192.0.2.7", QEMU, "the route blackhole 192.0.2.0/24 says so"),
        ("ip route add unreachable 198.51.100.0/24 table 77; ip rule add pref 20 lookup 77", OUTSIDE, QEMU,
         "the route unreachable 198.51.100.0/24 table 77 says so"),
        ("ip rule add pref 20 not fwmark 0x6 prohibit", LAN, QEMU, "the rule 20: not from all fwmark 0x6 prohibit"),
        ("ip route del default", OUTSIDE, QEMU, "by any route"),
        ("ip route add throw 198.51.100.0/24", OUTSIDE, QEMU, "the route throw 198.51.100.0/24 says so"),
        ("ip rule del pref 32766", OUTSIDE, QEMU, "no rule looks it up in table main"),
        ("ip -6 rule add pref 21 to 2001:db8::/32 prohibit", "2001:db8::1", QEMU, "the rule 21: "),
    ],
)  # fmt: skip
def test_where_a_way_ends_and_what_opens_it(
    stack: NetworkStack, typed: str, address: str, uid: int, entry: str
) -> None:
    stack.type(typed)
    found = route_lookup.dead_end(stack.ask, address, uid)
    assert found is not None
    assert entry in found.reason
    assert found.remedy is not None
    stack.type(found.remedy.removeprefix("sudo ").partition(", with")[0].replace("GATEWAY", LAN))
    assert route_lookup.dead_end(stack.ask, address, uid) is None


@pytest.mark.parametrize("ports", ["7007", "7000-7100"])
def test_a_rule_for_one_service_is_about_no_other(stack: NetworkStack, ports: str) -> None:
    stack.type(f"ip rule add pref 15 ipproto tcp dport {ports} blackhole")
    for service in (None, ("udp", 7007), ("tcp", 53)):
        assert route_lookup.dead_end(stack.ask, LAN, QEMU, service) is None
    found = route_lookup.dead_end(stack.ask, LAN, QEMU, ("tcp", 7007))
    assert found is not None
    assert f"the rule 15: from all ipproto tcp dport {ports} blackhole says so" in found.reason
    assert found.remedy is not None
    stack.type(found.remedy.removeprefix("sudo "))
    assert route_lookup.dead_end(stack.ask, LAN, QEMU, ("tcp", 7007)) is None


def test_a_service_that_is_sent_into_a_vpn_is_let_out_of_it_alone(stack: NetworkStack) -> None:
    stack.type("ip route add default dev tun0 table 99; ip rule add pref 15 ipproto tcp dport 7007 lookup 99")
    assert route_lookup.astray(stack.ask, LAN, QEMU, ("tcp", 53)) is None
    found = route_lookup.astray(stack.ask, LAN, QEMU, ("tcp", 7007))
    assert found is not None
    assert "by rule 15: from all ipproto tcp dport 7007 lookup 99, where table 99 has default dev tun0" in found.reason
    assert found.remedy is not None
    stack.type(found.remedy.partition(";")[0].removeprefix("sudo "))
    assert route_lookup.astray(stack.ask, LAN, QEMU, ("tcp", 7007)) is None
    assert route_lookup.link_to(stack.ask, OUTSIDE, QEMU) == "br0"


def test_a_table_of_its_own_that_covers_the_hosts_own_network(stack: NetworkStack) -> None:
    stack.type("ip rule add pref 5270 lookup 52; ip route add 192.168.50.0/24 dev tun0 table 52")
    found = route_lookup.astray(stack.ask, LAN, QEMU)
    assert found is not None
    assert "leaves by tun0, though the network of 192.168.50.1 is at br0" in found.reason
    assert "rule 5270: from all lookup 52, where table 52 has 192.168.50.0/24 dev tun0" in found.reason
    assert found.remedy is not None
    stack.type(found.remedy.partition(";")[0].removeprefix("sudo "))
    assert route_lookup.astray(stack.ask, LAN, QEMU) is None


def test_a_part_of_the_hosts_own_network_may_be_meant_to_be_elsewhere(stack: NetworkStack) -> None:
    """A LAN of 10.0.0.0/8, and a VPN with its resolver in a network of the same range: narrower, and no mistake."""
    stack.type("ip addr add 10.0.0.2/8 dev br0; ip addr add 10.8.0.2/32 dev tun0; ip route add 10.8.0.0/24 dev tun0")
    found = route_lookup.astray(stack.ask, "10.8.0.1", QEMU)
    assert found is not None
    assert "the route 10.8.0.0/24 dev tun0" in found.reason
    assert route_lookup.astray(stack.ask, "10.8.0.1", QEMU, or_meant=False) is None
    stack.type("ip rule add pref 5270 lookup 52; ip route add 10.0.0.0/8 dev tun0 table 52")
    assert route_lookup.astray(stack.ask, "10.9.0.1", QEMU, or_meant=False) is not None


def test_a_vpn_that_leaves_the_lan_alone(stack: NetworkStack) -> None:
    """As wg-quick sets one up: everything but what a narrower route than the default one leads to."""
    stack.type("ip route add default dev tun0 table 51820; ip rule add pref 31 not fwmark 0xca6c lookup 51820;"
               "ip rule add pref 30 lookup main suppress_prefixlength 0")  # fmt: skip
    assert route_lookup.link_to(stack.ask, OUTSIDE, QEMU) == "tun0"
    assert route_lookup.link_to(stack.ask, LAN, QEMU) == "br0"
    assert route_lookup.astray(stack.ask, LAN, QEMU) is None
    stack.type("ip route replace prohibit default table 51820")
    found = route_lookup.dead_end(stack.ask, OUTSIDE, QEMU)
    assert found is not None
    assert "the route prohibit default table 51820" in found.reason


def test_who_a_packet_is_handed_to(stack: NetworkStack) -> None:
    assert route_lookup.next_hop(stack.ask, OUTSIDE) is None
    stack.type(f"ip neigh add {LAN} lladdr 02:00:00:00:00:09 dev br0")
    found = route_lookup.next_hop(stack.ask, OUTSIDE)
    assert found is not None
    assert (found.address, found.link, found.mac, found.by_hand) == (LAN, "br0", "02:00:00:00:00:09", True)


@pytest.mark.parametrize(
    ("typed", "address", "named"),
    [
        ("ip route add local 192.168.50.1 dev lo table 99; ip rule add to 192.168.50.1 lookup 99 pref 10", LAN,
         "the route local 192.168.50.1 dev lo table 99, by rule 10: from all to 192.168.50.1 lookup 99"),
        ("ip route add local 198.51.100.0/24 dev lo", OUTSIDE,
         "the route local 198.51.100.0/24 dev lo table local, by rule 0: from all lookup local"),
        # As transparent proxies have it: no packet of the host's own bears such a mark.
        ("ip route add local default dev lo table 99; ip rule add fwmark 1 lookup 99 pref 10", LAN, None),
        ("true", "192.168.50.2", None),
        ("true", "127.0.0.53", None),
    ],
)  # fmt: skip
def test_a_route_that_keeps_what_is_for_others(
    stack: NetworkStack, typed: str, address: str, named: str | None
) -> None:
    stack.type(typed)
    found = route_lookup.taken_for_own(stack.ask, address, QEMU)
    assert (found is None) == (named is None)
    if found and named:
        assert named in found.reason
        stack.type((found.remedy or "").removeprefix("sudo "))
        assert route_lookup.taken_for_own(stack.ask, address, QEMU) is None


@pytest.mark.parametrize(
    ("typed", "named"),
    [
        ("true", None),
        ("ip rule add iif virbr0 pref 10 prohibit", "the rule 10: from all iif virbr0 prohibit says so"),
        ("ip rule add from 10.9.0.0/24 pref 10 blackhole", "the rule 10: from 10.9.0.0/24 blackhole says so"),
        ("ip route add unreachable 198.51.100.1", "the route unreachable 198.51.100.1 says so"),
        ("ip route add default dev tun0 table 99; ip rule add from 10.9.0.0/24 lookup 99 pref 10",
         "leaves by tun0 and not by br0, as what this host itself sends there does; by the route default dev tun0 "
         "table 99, by rule 10: from 10.9.0.0/24 lookup 99"),
        ("ip neigh add 192.168.50.9 dev br0 nud failed; ip route add 198.51.100.1 via 192.168.50.9",
         "to 192.168.50.9, which answers no ARP at br0; by the route 198.51.100.1 via 192.168.50.9 dev br0"),
        # What one table throws out is decided by the next.
        ("ip neigh add 192.168.50.9 dev br0 nud failed; ip route add 198.51.100.1 via 192.168.50.9;"
         "ip route add throw 198.51.100.0/24 table 99; ip rule add iif virbr0 lookup 99 pref 10",
         "which answers no ARP at br0; by the route 198.51.100.1 via 192.168.50.9 dev br0"),
        # About other packets: this host's own, those of another network, of a user, with a mark.
        ("ip rule add iif lo pref 10 prohibit", None),
        ("ip rule add from 10.8.0.0/24 pref 10 blackhole", None),
        ("ip rule add uidrange 65534-65534 pref 10 prohibit", None),
        ("ip rule add fwmark 1 pref 10 prohibit", None),
        # Whether it has the mark that saves it from the rule behind is not known.
        ("ip rule add fwmark 1 pref 9 lookup main; ip rule add iif virbr0 pref 10 prohibit", None),
        ("ip rule add not fwmark 1 pref 9 lookup main; ip rule add iif virbr0 pref 10 prohibit", None),
        ("ip rule add fwmark 1 pref 11 lookup main; ip rule add iif virbr0 pref 10 prohibit", "the rule 10: from all"),
    ],
)  # fmt: skip
def test_what_is_not_passed_on(stack: NetworkStack, typed: str, named: str | None) -> None:
    stack.type("ip link add virbr0 type bridge; ip addr add 10.9.0.1/24 dev virbr0; ip link set virbr0 up; "
               f"sysctl -qw net.ipv4.ip_forward=1; {typed}")  # fmt: skip
    packet = RoutedPacket(OUTSIDE, source="10.9.0.2", coming_by="virbr0")
    found = flow_lookup.not_passed_on(stack.ask, packet, "br0")
    assert (found is None) == (named is None), found
    if found and named:
        assert named in found.reason


def test_a_rule_about_this_hosts_own_packets_is_about_nobody_elses(stack: NetworkStack) -> None:
    stack.type("ip rule add iif lo pref 10 prohibit")
    found = route_lookup.dead_end(stack.ask, OUTSIDE, QEMU)
    assert found is not None
    assert "the rule 10: from all iif lo prohibit says so" in found.reason
