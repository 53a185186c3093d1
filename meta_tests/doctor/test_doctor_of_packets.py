"""What the doctor says of packets without sending one: each trouble built in a machine of namespaces, and mended."""

import re
import sys
from typing import Any

import pytest

from meta_tests.doctor.test_doctor_on_a_machine import as_typed, begin, bound, broken, examine
from meta_tests.faults.on_hosts.troubles import FIREWALL
from meta_tests.planted import link_program
from meta_tests.samples.host_machine import LAN, HostMachine

DNSMASQ = "dnsmasq --conf-file=/dev/null --no-daemon --user= --group= --pid-file= --port=0 --bind-interfaces"
#: libvirt's default network, and a container engine's rules and network with one container in it.
NEIGHBOURS = f"""
ip link add virbr0 type bridge stp_state 0; ip addr add 192.168.122.1/24 dev virbr0; ip link set virbr0 up
{begin("libvirt", f"{DNSMASQ} --interface=virbr0 --dhcp-range=192.168.122.2,192.168.122.9", bound(67, "udp"))}
ip link add docker0 type bridge; ip addr add 172.17.0.1/16 dev docker0
ip link add veth1 type veth peer name veth2; ip link set veth1 master docker0 up; ip link set veth2 up
ip link set docker0 up; sysctl -qw net.ipv4.ip_forward=1
nft -f - <<'END'
table ip nat {{
  chain PREROUTING {{ type nat hook prerouting priority -100; fib daddr type local counter jump DOCKER; }}
  chain OUTPUT {{ type nat hook output priority -100
    ip daddr != 127.0.0.0/8 fib daddr type local counter jump DOCKER; }}
  chain POSTROUTING {{ type nat hook postrouting priority 100; ip saddr 172.17.0.0/16 oifname != "docker0" masquerade
    ip saddr 192.168.122.0/24 ip daddr != 192.168.122.0/24 masquerade; }}
  chain DOCKER {{ iifname "docker0" return; iifname != "docker0" tcp dport 8080 dnat to 172.17.0.2:80; }}
}}
END
"""
#: As wg-quick leaves a host, and an IPsec VPN of another network that has its keys.
VPNS = f"""
ip link add wg0 type veth peer name wg1; ip link set wg1 up; ip link set wg0 up; ip addr add 10.8.0.2/32 dev wg0
ip route add default dev wg0 table 51820; ip rule add pref 31 not fwmark 0xca6c lookup 51820
ip rule add pref 30 lookup main suppress_prefixlength 0
ip xfrm policy add dir out src 192.168.77.0/24 dst 10.77.0.0/16 tmpl src 192.168.77.2 dst {LAN} proto esp mode tunnel
"""
#: A proxy for what goes out of this host's own networks and its guests', and a VPN that has all else.
PROXY = """
nft -f - <<'END'
table ip proxy {
  chain output { type nat hook output priority -100
    ip daddr { 10.0.0.0/8, 127.0.0.0/8, 192.168.0.0/16 } return; meta l4proto tcp redirect to :7892; }
  chain prerouting { type filter hook prerouting priority mangle
    ip daddr { 10.0.0.0/8, 127.0.0.0/8, 192.168.0.0/16 } return
    meta l4proto { tcp, udp } meta mark set 1 tproxy to 127.0.0.1:7893 accept; }
}
END
ip rule add pref 90 fwmark 1 lookup 90; ip route add local default dev lo table 90
"""
HALVES = """
ip tuntap add dev tun0 mode tun; ip addr add 10.9.0.2/24 dev tun0; ip link set tun0 up
ip route add 0.0.0.0/1 via 10.9.0.1; ip route add 128.0.0.0/1 via 10.9.0.1
"""
ATTACH = f"{sys.executable} {link_program.__file__} up0"
BRIDGED_TOO = "/proc/sys/net/bridge/bridge-nf-call-iptables"
BOTH = f"echo 1 > {BRIDGED_TOO}"
#: Where the kernel has that at all, it is on until somebody turns it off.
NOT_BOTH = f"test ! -e {BRIDGED_TOO} || echo 0 > {BRIDGED_TOO}; "
#: A network of this host's own, which it translates, beside those of others.
TRANSLATED = """
ip link add nat0 type bridge; ip addr add 192.168.123.1/24 dev nat0; ip link set nat0 up
sysctl -qw net.ipv4.ip_forward=1; echo allow nat0 >> /etc/qemu/bridge.conf
nft 'table ip ours { chain POSTROUTING { type nat hook postrouting priority 100
  ip saddr 192.168.123.0/24 ip daddr != 192.168.123.0/24 masquerade; }; }'
"""

ROUNDS = {
    "a VPN over the LAN": (
        broken("qemu-routes", "caution", rf"to {LAN} leaves by tun0, though the network of {LAN} is at br0: by rule "
               r"5270: from all lookup 52, where table 52 has 192\.168\.77\.0/24 dev tun0",
               "^sudo ip route del 192.168.77.0/24 dev tun0 table 52;|^ip route del 192.168.77.0/24 dev tun0 table 52;",
               "ip link add tun0 type veth peer name tun1; ip link set tun1 up; ip link set tun0 up;"
               "ip route add 192.168.77.0/24 dev tun0 table 52; ip rule add pref 5270 lookup 52"),
        broken("translation", "caution", r"TCP port 2222 from this host meets table ip swap, chain OUTPUT: tcp",
               "forward another port, or nft delete rule ip swap OUTPUT handle",
               "nft 'table ip swap { chain OUTPUT { type nat hook output priority -100; tcp dport 2222 fib daddr type "
               "local dnat to 10.244.0.5:22; }; }'", "nft delete table ip swap"),
        broken("localhost", "caution", "/etc/hosts says that localhost is ::1", "echo '127.0.0.1 localhost'",
               "echo ::1 localhost > /etc/hosts"),
        broken("ipsec", "caution", r"takes what this host sends to the world .* encrypted for 203\.0\.113\.9",
               "^ip xfrm policy delete src 192.168.77.2/32 dst 0.0.0.0/0 dir out, or start",
               "ip xfrm policy add dir out src 192.168.77.2/32 dst 0.0.0.0/0 tmpl src 192.168.77.2 dst 203.0.113.9 "
               "proto esp mode tunnel"),
    ),
    "a container network over a resolver": (
        broken("qemu-routes", "caution", r"172\.18\.0\.53 is looked for at the bridge x, this host's own network "
               r"172\.18\.0\.0/16, and nothing is plugged in there", f"ip route add 172.18.0.53/32 via {LAN}, or",
               "ip link add x type bridge; ip addr add 172.18.0.1/16 dev x; ip link set x up;"
               "echo nameserver 172.18.0.53 > /etc/resolv.conf"),
        broken("translation", "caution", r"questions to the resolver 172\.18\.0\.53 meet table ip dns, chain OUTPUT",
               "nft delete rule ip dns OUTPUT handle",
               "nft 'table ip dns { chain OUTPUT { type nat hook output priority -100; "
               "udp dport 53 redirect to :5353; }; }'"),
        broken("programs", "caution", r"programs in the kernel decide at up0: deny_all \(what goes out\)",
               "bpftool net show dev up0", ATTACH, "ip link set up0 nomaster; ip link set up0 master br0"),
    ),
    "a container network over a part of the LAN": (
        broken("qemu-routes", "caution", rf"{LAN} is looked for at the bridge x, this host's own network "
               r"192\.168\.77\.0/27, and nothing is plugged in there", f"ip route add {LAN}/32 dev br0, or",
               "ip link add x type bridge; ip addr add 192.168.77.30/27 dev x; ip link set x up"),
    ),
    "a route that keeps what is for the gateway": (
        broken("qemu-routes", "caution", rf"this host takes what it sends to {LAN} for itself, though it has no such "
               rf"address: so says the route local {LAN} dev lo table 99, by rule 10:",
               rf"ip route del local {LAN} dev lo table 99",
               f"ip route add local {LAN} dev lo table 99; ip rule add to {LAN} lookup 99 pref 10"),
    ),
    "one of two uplinks is out": (
        broken("qemu-routes", "caution", r"eth1 has no carrier, and one of the next hops of the route default with 2 "
               r"next hops \(via 192\.168\.77\.1 dev br0 and via 192\.168\.88\.1 dev eth1\) is there: of what QEMU",
               "^(sudo )?ip route replace default via 192.168.77.1 dev br0; for good see why eth1 has no carrier",
               "ip link add eth1 type veth peer name eth1p; ip link set eth1 up; ip addr add 192.168.88.2/24 dev eth1;"
               "ip route replace default nexthop via 192.168.77.1 dev br0 nexthop via 192.168.88.1 dev eth1"),
    ),
    "frames that are translated": (
        broken("translation", "caution", r"frames in br0 pass the packet filter .* tcp dport 7777 redirect",
               "nft insert rule ip nat PREROUTING iifname br0 accept",
               f"{BOTH}; nft 'table ip nat {{ chain PREROUTING {{ type nat hook prerouting priority -100; "
               "tcp dport 7777 redirect to :20559; }; }'"),
    ),
    "frames that are masqueraded": (
        broken("translation", "caution", r"frames in br0 pass the packet filter .* table ip nat, chain POST: ip saddr "
               r"192\.168\.77\.0/24 masquerade: guests there appear with this host's address",
               "nft insert rule ip nat POST position .* ip saddr 192.168.77.0/24 oifname br0 accept",
               f"{BOTH}; nft 'table ip nat {{ chain POST {{ type nat hook postrouting priority 100; "
               "ip saddr 192.168.77.0/24 masquerade; }; }'"),
    ),
    "a translated network at which forwarding is off": (
        broken("bridge-uplink", "caution", r"passes no packets on that come in at nat0 \(net/ipv4/conf/nat0/",
               "^sysctl -w net/ipv4/conf/nat0/forwarding=1$",
               f"{TRANSLATED}sysctl -qw net.ipv4.conf.nat0.forwarding=0"),
    ),
    "a translated network whose guests a rule shuts in": (
        broken("bridge-uplink", "caution", "does not pass on what comes in at nat0 .*: the rule 50: from all iif nat0 "
               "prohibit says so", "^ip rule del pref 50 iif nat0 prohibit$",
               f"{TRANSLATED}ip rule add iif nat0 pref 50 prohibit"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("with_firewall", [False, True], ids=["bare", "firewalled"])
@pytest.mark.parametrize("name", ROUNDS)
def test_what_is_wrong_is_named_and_mended_by_its_remedy(machine: HostMachine, name: str, with_firewall: bool) -> None:
    machine.type(FIREWALL + NEIGHBOURS if with_firewall else "true")
    if BOTH in ROUNDS[name][0].planting.typed and machine.type(f"test -e {BRIDGED_TOO} || echo no").strip():
        pytest.skip("this kernel has no br_netfilter")
    for fault in ROUNDS[name]:
        machine.type(fault.planting.typed)
    ill = examine(machine, 0)
    for fault in ROUNDS[name]:
        (check,), planted = fault.breaks, fault.planting
        assert ill[check]["state"] == planted.state, ill[check]
        assert fault.is_named_in(ill[check]), ill[check]
        machine.type(as_typed(ill[check]["remedy"]).partition("; ")[0] if planted.mended is None else planted.mended)
    well = examine(machine, 0)
    for fault in ROUNDS[name]:
        (check,) = fault.breaks
        if check != "programs":  # what is attached to a link goes with the link
            assert not re.search(fault.cause, well[check]["reason"]), well[check]


def test_a_program_that_answers_in_the_resolvers_place_is_meant_to(machine: HostMachine) -> None:
    resolver = DNSMASQ.replace("--port=0 --bind-interfaces", "--no-resolv")
    machine.type(f"ip route add local {LAN} dev lo table 99; ip rule add to {LAN} lookup 99 pref 10")
    assert examine(machine, 0)["qemu-routes"]["state"] == "caution"
    machine.type(begin("dns", resolver, bound(53, "udp")))
    assert examine(machine, 0)["qemu-routes"]["state"] == "ok"


@pytest.mark.parametrize("family", ["ip", "bridge"])
def test_a_bridge_that_a_closed_firewall_lets_pass(machine: HostMachine, family: str) -> None:
    """What drops by policy is closed to this bridge until an exception is made for it alone, as the doctor says."""
    if family == "ip" and machine.type(f"test -e {BRIDGED_TOO} || echo no").strip():
        pytest.skip("this kernel has no br_netfilter")
    machine.type(f"{BOTH if family == 'ip' else 'true'}; nft 'table {family} closed {{ chain forward {{ type filter "
                 "hook forward priority 0; policy drop; tcp dport 25 drop; }; }'")  # fmt: skip
    shut = examine(machine, 0)["bridge-firewall"]
    assert (shut["state"], "drops by policy and accepts nothing for it" in shut["reason"]) == ("not", True), shut
    machine.type(shut["remedy"])
    opened = examine(machine, 0)["bridge-firewall"]
    assert (opened["state"], "policy drop" in machine.type("nft list ruleset")) == ("ok", True), opened


@pytest.mark.parametrize("remedy", ["", "iptables-legacy -I FORWARD -m physdev --physdev-is-bridged -j ACCEPT"])
def test_what_iptables_legacy_drops_is_seen_beside_what_nft_lists(machine: HostMachine, remedy: str) -> None:
    """nft lists nothing of it. The doctor's own remedy mends it, and what `run` says of it."""
    if machine.type(f"test -e {BRIDGED_TOO} || echo no").strip():
        pytest.skip("this kernel has no br_netfilter")
    machine.type(f"{BOTH}; iptables-legacy -P FORWARD DROP; iptables-legacy -A FORWARD -p tcp -i br0 -o br0 -j DROP")
    shut = examine(machine, 0)["bridge-firewall"]
    assert (shut["state"], "chain FORWARD of table ip filter" in shut["reason"]) == ("not", True), shut
    machine.type(remedy or shut["remedy"])
    opened = examine(machine, 0)["bridge-firewall"]
    assert opened["state"] == "ok", opened


def alarms(found: dict[str, dict[str, Any]]) -> dict[str, str]:
    """Of the checks that are about packets, bridges and names."""
    ours = ("qemu-routes", "translation", "ipsec", "programs", "localhost", "dhcp-server", "route", "dns", "bridge",
            "bridge-foreign", "bridge-uplink", "bridge-firewall")  # fmt: skip
    return {name: found[name]["reason"] for name in ours if name in found and found[name]["state"] != "ok"}


@pytest.mark.parametrize("uid", [0, None], ids=["root", "a user"])
def test_a_healthy_host_raises_no_alarm(machine: HostMachine, uid: int | None) -> None:
    """With a distribution's firewall, libvirt's network, a container engine's rules and the VPNs of others."""
    machine.type(FIREWALL + NEIGHBOURS + VPNS + NOT_BOTH + "echo allow virbr0 >> /etc/qemu/bridge.conf")
    found = examine(machine, uid)
    assert alarms(found) == {}
    assert "virbr0 by address translation of this host" in found["bridge-uplink"]["reason"]
    assert "on virbr0: it may serve virbr0" in found["dhcp-server"]["reason"]
    if uid is None and machine.made_by_root:
        assert "only root may read it: sudo qemunet doctor" in found["translation"]["reason"]


def test_a_proxy_and_a_vpn_for_all_the_world_raise_no_alarm(machine: HostMachine) -> None:
    """What both leave alone, as the loopback and this host's own networks are."""
    machine.type(FIREWALL + NEIGHBOURS + PROXY + HALVES + NOT_BOTH + "true")
    found = examine(machine, 0)
    assert alarms(found) == {}
    assert found["subnet"]["state"] == "ok", found["subnet"]


def test_a_part_of_the_lans_network_that_is_a_vpns_raises_no_alarm(machine: HostMachine) -> None:
    """A resolver in a range of the VPN's, which is a narrow part of the LAN's."""
    machine.type("ip addr add 10.8.1.2/16 dev br0; ip link add wg0 type veth peer name wg1; ip link set wg0 up;"
                 "ip link set wg1 up; ip addr add 10.8.0.2/32 dev wg0; ip route add 10.8.0.0/24 dev wg0;"
                 "echo nameserver 10.8.0.1 > /etc/resolv.conf")  # fmt: skip
    assert examine(machine, None)["qemu-routes"]["state"] == "ok"


def test_a_translated_network_is_none_of_bridged_frames(machine: HostMachine) -> None:
    """Where frames pass the packet filter as well: what its guests send elsewhere never stays in its bridge."""
    if machine.type(f"test -e {BRIDGED_TOO} || echo no").strip():
        pytest.skip("this kernel has no br_netfilter")
    machine.type(f"{FIREWALL}{NEIGHBOURS}{BOTH}; echo allow virbr0 >> /etc/qemu/bridge.conf")
    assert alarms(examine(machine, 0)) == {}


def test_a_bridge_that_is_not_the_kernels(machine: HostMachine) -> None:
    machine.type("ip link del br0; ip link add br0 type veth peer name other; ip link set br0 up")
    found = examine(machine, 0)
    assert "br0 is there, and is no bridge of the kernel's but of the kind veth" in found["bridge"]["reason"]
    assert "ip link add br0" not in found["bridge"]["remedy"]


def test_a_host_of_ipv6_alone(machine: HostMachine) -> None:
    machine.type("ip addr flush dev br0; ip addr add fd00:50::2/64 dev br0 nodad;"
                 "ip -6 route add default via fd00:50::1; echo nameserver fd00:50::1 > /etc/resolv.conf")  # fmt: skip
    found = examine(machine, 0)
    assert found["route"]["state"] == "ok"
    assert "IPv6 alone" in found["route"]["reason"]
    assert "have guests ask fd00:50::1, or fec0::3" in found["dns"]["remedy"]
    assert "nameserver ADDRESS" not in found["dns"]["remedy"]


@pytest.mark.parametrize("uid", [0, None], ids=["root", "a user"])
def test_programs_on_links_are_seen_where_control_groups_are_not(machine: HostMachine, uid: int | None) -> None:
    """As in a container to which nobody mounted them."""
    machine.type(f"mount -t tmpfs none /sys/fs/cgroup; mkdir -p /sys/fs/cgroup/unified; {ATTACH}")
    found = examine(machine, uid)["programs"]
    if uid is None:
        assert found["state"] == "ok" and "only root may read it" in found["reason"]
    else:
        assert "programs in the kernel decide at up0: deny_all" in found["reason"]
