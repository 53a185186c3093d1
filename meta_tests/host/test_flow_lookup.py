"""To which of several next hops a flow is handed, what is said of a dead one, and what leaves it out."""

from collections.abc import Iterator

import pytest

from meta_tests.samples.network_stack import NetworkStack
from qemunet_tests.host import flow_lookup, next_hops, route_lookup
from qemunet_tests.host.asking import listed
from qemunet_tests.host.next_hops import NextHop
from qemunet_tests.host.policy_rules import RoutedPacket

OUTSIDE = "198.51.100.1"
LIVE, DEAD = NextHop("192.168.50.1", "br0"), NextHop("192.168.50.9", "br0")
OUT = NextHop("192.168.60.1", "eth1")
#: br0 with the LAN and two routers of it, one of whom answers nothing; eth1 with no carrier; a network of guests.
SET_UP = """
ip link add br0 type bridge; ip addr add 192.168.50.2/24 dev br0; ip link set br0 up
ip link add p0 type veth peer name p1; ip link set p0 master br0 up; ip link set p1 up
ip link add eth1 type veth peer name eth1p; ip link set eth1 up; ip addr add 192.168.60.2/24 dev eth1
ip link add virbr0 type bridge; ip addr add 10.9.0.1/24 dev virbr0; ip link set virbr0 up
sysctl -qw net.ipv4.ip_forward=1
ip neigh add 192.168.50.1 lladdr 02:00:00:00:00:01 dev br0 nud reachable
ip neigh add 192.168.50.9 dev br0 nud failed
"""
TWO = f"ip route replace default nexthop {LIVE.words} nexthop {DEAD.words}"
ONE_OUT = f"ip route replace default nexthop {LIVE.words} nexthop {OUT.words}"
OBJECTS = f"""ip nexthop add id 1 {LIVE.words}; ip nexthop add id 2 {DEAD.words}
ip nexthop add id 3 via 192.168.50.3 dev br0
ip nexthop add id 10 group 1/2,3; ip route replace default nhid 10
"""
BY_PORTS = "sysctl -qw net.ipv4.fib_multipath_hash_policy=1"


@pytest.fixture
def stack() -> Iterator[NetworkStack]:
    made = NetworkStack()
    made.type(SET_UP)
    yield made
    made.close()


def of(stack: NetworkStack, target: str, *more: str) -> tuple[NextHop, ...]:
    (route,) = listed(stack.ask, "ip", "-j", "route", "show", target, *more)
    return next_hops.of_route(route)


def places(hops: tuple[NextHop, ...]) -> list[tuple[str | None, str, int]]:
    return [(each.gateway, each.link, each.weight) for each in hops]


def flows(number: int) -> list[RoutedPacket]:
    return [RoutedPacket(f"198.51.100.{host}", service=("tcp", 7007)) for host in range(1, number + 1)]


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        (f"ip route replace default {LIVE.words}", [("192.168.50.1", "br0", 1)]),
        ("ip route replace default dev br0", [(None, "br0", 1)]),
        ("ip route replace blackhole default", []),
        (TWO, [("192.168.50.1", "br0", 1), ("192.168.50.9", "br0", 1)]),
        (OBJECTS, [("192.168.50.1", "br0", 1), ("192.168.50.9", "br0", 3)]),
        (f"{OBJECTS}ip route replace default nhid 1", [("192.168.50.1", "br0", 1)]),
        # Of the other family, as RFC 5549 has it.
        ("ip -4 route replace default via inet6 fe80::1 dev br0", [("fe80::1", "br0", 1)]),
    ],
)
def test_the_next_hops_of_a_route(stack: NetworkStack, typed: str, expected: list[tuple[str | None, str, int]]) -> None:
    stack.type(typed)
    assert places(of(stack, "default")) == expected
    words = route_lookup.route_of(stack.ask, RoutedPacket(OUTSIDE))
    assert "None" not in words
    assert all(each.words in words for each in of(stack, "default"))


@pytest.mark.parametrize(
    ("typed", "command"),
    [
        (TWO, f"sudo ip route replace default {LIVE.words}"),
        (TWO.replace("default", "default proto static metric 50"),
         f"sudo ip route replace default metric 50 proto static {LIVE.words}"),
        (f"{TWO} weight 7 nexthop {OUT.words} weight 5",
         f"sudo ip route replace default nexthop {LIVE.words} weight 1 nexthop {OUT.words} weight 5"),
        (f"ip rule add pref 9 lookup 77; {TWO.replace('default', 'default table 77')}",
         f"sudo ip route replace default table 77 {LIVE.words}"),
        (f"ip -4 route replace default nexthop via inet6 fe80::1 dev br0 nexthop {DEAD.words}",
         "sudo ip -4 route replace default via inet6 fe80::1 dev br0"),
        (OBJECTS, "sudo ip nexthop replace id 10 group 1"),
        (f"{OBJECTS}ip nexthop replace id 10 group 1/2/3,4", "sudo ip nexthop replace id 10 group 1/3,4"),
    ],
)  # fmt: skip
def test_a_dead_one_is_taken_out_and_nothing_else_changes(stack: NetworkStack, typed: str, command: str) -> None:
    stack.type(typed)
    parts = flow_lookup.divided(stack.ask, RoutedPacket(OUTSIDE))
    assert parts is not None
    dead = [each for each in parts.hops if each.gateway == DEAD.gateway]
    assert parts.without(stack.ask, dead) == command
    before = [each for each in places(parts.hops) if each[0] != DEAD.gateway]
    stack.type(command.removeprefix("sudo "))
    after = places(of(stack, "default", *(("table", "77") if "77" in typed else ())))
    assert [each[:2] for each in after] == [each[:2] for each in before]
    assert parts.without(stack.ask, parts.hops) is None


def test_flows_are_divided_as_the_kernel_divides_them(stack: NetworkStack) -> None:
    stack.type(TWO)
    taken = []
    for packet in flows(32):
        sent = flow_lookup.as_sent(stack.ask, packet)
        assert sent.source == "192.168.50.2"
        parts = flow_lookup.divided(stack.ask, sent)
        assert parts is not None
        taken.append(parts.taken(stack.ask))
        # Whichever port it is from.
        assert parts.taken(stack.ask, 40000) == parts.taken(stack.ask, 40001) == taken[-1]
    assert {each.gateway for each in taken if each} == {LIVE.gateway, DEAD.gateway}


def test_what_hangs_on_a_port_is_not_told_without_it(stack: NetworkStack) -> None:
    stack.type(f"{TWO}; {BY_PORTS}")
    sent = flow_lookup.as_sent(stack.ask, RoutedPacket(OUTSIDE, service=("tcp", 7007)))
    parts = flow_lookup.divided(stack.ask, sent)
    assert parts is not None
    assert parts.taken(stack.ask) is None
    assert flow_lookup.handed_to(stack.ask, sent) is None
    by_port = [parts.taken(stack.ask, port) for port in range(40000, 40032)]
    assert {each.gateway for each in by_port if each} == {LIVE.gateway, DEAD.gateway}


def test_one_next_hop_is_nothing_divided(stack: NetworkStack) -> None:
    stack.type(f"ip route replace default {DEAD.words}")
    packet = RoutedPacket(OUTSIDE, service=("tcp", 7007))
    assert flow_lookup.divided(stack.ask, packet) is None
    found = flow_lookup.handed_to(stack.ask, packet)
    assert found is not None
    assert (found.address, found.failed) == (DEAD.gateway, True)


@pytest.mark.parametrize("typed", [TWO, ONE_OUT, f"{TWO}; {BY_PORTS}"])
def test_what_is_passed_on_is_lost_where_it_is_handed_to_the_dead_one(stack: NetworkStack, typed: str) -> None:
    """The other one is no way aside, and what goes there is lost to neither."""
    stack.type(typed)
    named = 0
    for flow in flows(32):
        packet = RoutedPacket(flow.address, source="10.9.0.2", coming_by="virbr0")
        out = route_lookup.way_of(stack.ask, packet)
        found = flow_lookup.not_passed_on(stack.ask, packet, "br0")
        assert not isinstance(out, str)
        assert (found is not None) == (out.gateway != LIVE.gateway and BY_PORTS not in typed), (out, found)
        if found and found.remedy:
            named += 1
            why = "and eth1 has no carrier" if typed == ONE_OUT else "which answers no ARP at br0"
            assert f"to {out.gateway}, {why}; by the route default with 2 next hops" in found.reason
            assert found.remedy.startswith(f"sudo ip route replace default {LIVE.words}; for good see w")
    assert (named > 0) == (BY_PORTS not in typed)


def test_who_is_told_to_leave_a_link_without_carrier_out(stack: NetworkStack) -> None:
    stack.type(f"ip route replace default {LIVE.words}")
    assert flow_lookup.without_carrier(stack.ask, RoutedPacket(OUTSIDE)) is None
    stack.type(ONE_OUT)
    found = flow_lookup.without_carrier(stack.ask, RoutedPacket(OUTSIDE))
    assert found is not None
    assert found.reason.startswith(
        "eth1 has no carrier, and one of the next hops of the route default with 2 next hops"
    )
    # Nothing is handed to a link that is down, nor to one that is left out when it has no carrier.
    stack.type("ip link set eth1 down")
    assert flow_lookup.without_carrier(stack.ask, RoutedPacket(OUTSIDE)) is None
    stack.type(f"ip link set eth1 up; sysctl -qw net.ipv4.conf.eth1.ignore_routes_with_linkdown=1; {ONE_OUT}")
    assert flow_lookup.without_carrier(stack.ask, RoutedPacket(OUTSIDE)) is None
    stack.type("sysctl -qw net.ipv4.conf.eth1.ignore_routes_with_linkdown=0; ip link set eth1p up")
    assert flow_lookup.without_carrier(stack.ask, RoutedPacket(OUTSIDE)) is None


@pytest.mark.parametrize("more", ["true", BY_PORTS])
def test_by_which_link_a_flow_leaves_is_said_where_it_is_known(stack: NetworkStack, more: str) -> None:
    stack.type(f"{TWO}; {more}")
    # Whichever of the two it is.
    assert {flow_lookup.link_of(stack.ask, packet) for packet in flows(16)} == {"br0"}
    stack.type(ONE_OUT)
    found = {flow_lookup.link_of(stack.ask, packet) for packet in flows(32)}
    assert found - {None} == ({"br0", "eth1"} if more == "true" else set())


def test_the_other_ways_of_what_a_packet_filter_marks(stack: NetworkStack) -> None:
    """Rules that come too late, that ask for no mark or lead nowhere else, lead no marked packet astray."""
    stack.type(f"ip route add default via {LIVE.gateway} dev br0; ip route add default dev eth1 table 100;"
               "ip rule add pref 40 fwmark 0x80000/0xff0000 lookup main;"
               "ip rule add pref 50 fwmark 0x1/0xff lookup 100;"
               "ip rule add pref 60 not fwmark 0x5 lookup main; ip rule add pref 70 fwmark 0x2 lookup 100")  # fmt: skip
    packet = RoutedPacket(OUTSIDE)
    ((rule, out),) = flow_lookup.if_marked(stack.ask, packet)
    assert (rule.preference, rule.mark, out.link) == (50, 1, "eth1")
    assert route_lookup.route_of(stack.ask, RoutedPacket(OUTSIDE, mark=0x101)).startswith("the route default dev eth1")
    assert route_lookup.route_of(stack.ask, packet).startswith("the route default via")
    stack.type("ip rule del pref 50")
    assert not [*flow_lookup.if_marked(stack.ask, packet)]
