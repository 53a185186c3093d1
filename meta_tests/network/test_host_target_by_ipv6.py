"""`qemunet run --target host` with a peer that is named by its IPv6 address: reached, and where it is not, said why."""

import sys
from collections.abc import Iterator

import pytest

from meta_tests.samples.host_machine import ECHO, HostMachine
from qemunet_tests.deadline import Deadline

HOST, LAN = "2001:db8:77::2", "2001:db8:77::1"
PEER = f"[{LAN}]:7008"
REACH = ("user/reach-lan-tcp", "user/reach-lan-udp", "bridge/reach-lan", "bridge/bulk-both-ways")
#: The same services at another port, by IPv6 alone.
ECHO_BY_IPV6 = ECHO.replace('"", 7007', '"::", 7008').replace(
    "import socketserver\n",
    "import socket, socketserver\n"
    "socketserver.TCPServer.address_family = socketserver.UDPServer.address_family = socket.AF_INET6\n",
)
#: Guests on the bridge are given addresses of the LAN's prefix by its router.
ADVERTISEMENTS = (
    "dnsmasq --conf-file=/dev/null --no-daemon --user= --group= --pid-file= --port=0 --interface=lan0 "
    "--enable-ra --ra-param=lan0,10 --dhcp-range=2001:db8:77::,ra-only"
)


@pytest.fixture
def machine() -> Iterator[HostMachine]:
    """A host and a LAN that have IPv6 as well, with a router that announces it."""
    made = HostMachine()
    try:
        made.type(f"ip addr add {HOST}/64 dev br0 nodad")
        made.type_at_lan(f"ip addr add {LAN}/64 dev lan0 nodad; sysctl -qw net.ipv6.conf.all.forwarding=1")
        made.start_at_lan([sys.executable, "-c", ECHO_BY_IPV6])
        made.start_at_lan(ADVERTISEMENTS.split())
        listening = Deadline(30, "the echo service")
        listening.wait_until(lambda: ":1B60 " in made.type_at_lan("cat /proc/net/tcp6"), interval_seconds=0.1)
        yield made
    finally:
        made.close()


def test_a_peer_is_reached_by_ipv6(machine: HostMachine) -> None:
    verdicts = machine.run("--bridge", "br0", "--peer", PEER, *REACH)
    assert {claim: each["verdict"] for claim, each in verdicts.items()} == dict.fromkeys(REACH, "holds"), machine.said
    assert verdicts["user/reach-lan-tcp"]["observed"] == f"{PEER} answers by TCP"
    assert verdicts["bridge/reach-lan"]["observed"] == f"{PEER} answers by TCP and UDP"


@pytest.mark.slow
def test_a_way_that_is_broken_for_ipv6_alone_is_found(machine: HostMachine) -> None:
    machine.type(f"ip -6 route add blackhole {LAN}/128")
    asked = ("user/reach-lan-tcp", "user/address")
    verdicts = machine.run("--bridge", "br0", "--peer", PEER, *asked)
    broken = verdicts["user/reach-lan-tcp"]
    assert (broken["verdict"], verdicts["user/address"]["verdict"]) == ("broken", "holds"), machine.said
    assert f"the route blackhole {LAN} says so" in broken["reason"]
    assert broken["remedy"] == f"sudo ip -6 route del blackhole {LAN}"
    machine.type(broken["remedy"].replace("sudo ", ""))
    assert {each["verdict"] for each in machine.run("--peer", PEER, *asked).values()} == {"holds"}, machine.said


@pytest.mark.slow
def test_a_peer_at_which_nobody_listens_by_ipv6_was_reached(machine: HostMachine) -> None:
    verdicts = machine.run("--bridge", "br0", "--peer", f"[{LAN}]:7009", "user/reach-lan-tcp", "bridge/reach-lan")
    for each in verdicts.values():
        assert f"{LAN} was reached and refuses: nobody listens at its port 7009, or" in each["reason"], machine.said
        assert "TCP6-LISTEN:7009" in each["remedy"]


@pytest.mark.slow
def test_a_firewall_of_the_peer_that_drops_ipv6_alone_is_found(machine: HostMachine) -> None:
    machine.type_at_lan(
        "nft 'table ip6 wall { chain in { type filter hook input priority 0; tcp dport 7008 drop; }; }'"
    )
    verdicts = machine.run("--bridge", "br0", "--peer", PEER, "user/reach-lan-tcp", "bridge/reach-lan", "user/address")
    assert verdicts["user/address"]["verdict"] == "holds"
    for claim in ("user/reach-lan-tcp", "bridge/reach-lan"):
        assert verdicts[claim]["verdict"] == "broken", machine.said
        assert (
            f"the host itself does not reach {'the neighbour ' * claim.startswith('bridge')}{LAN}"
            in (verdicts[claim]["reason"])
        )
