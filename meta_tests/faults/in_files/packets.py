"""Hosts that do with packets what nobody expects of them."""

from dataclasses import replace
from ipaddress import IPv4Interface
from typing import Any

from meta_tests.faults.in_files import of_files
from meta_tests.samples.healthy_host import Change
from qemunet_tests.doctor.packet_facts import PacketFacts
from qemunet_tests.host import nft_ruleset
from qemunet_tests.host.bpf_programs import KernelProgram
from qemunet_tests.host.bridges import HostBridge
from qemunet_tests.host.ipsec import IpsecPolicy
from qemunet_tests.host.obstacle import Obstacle
from qemunet_tests.host.route_lookup import PacketWay

LAN = "192.168.1.254"
WAY = PacketWay(LAN, "br0", None, "192.168.1.2")
KEYLESS = IpsecPolicy("192.168.1.2/32", "0.0.0.0/0", "out", "203.0.113.9", blocks=False, keyed=False)
NAT = "table ip nat {\n\tchain POSTROUTING {\n\t\ttype nat hook postrouting priority srcnat; policy accept;\n\t\t" \
      "masquerade # handle 4\n\t}\n}\n"  # fmt: skip
VIRBR0 = HostBridge("virbr0", up=True, spanning_tree=False, forward_delay_seconds=0, mtu=1500, has_routes=True,
                    filters_ipv4=False, ports=())  # fmt: skip


def packets(**said: Any) -> Change:
    """A host that is healthy but for what is said."""
    healthy = PacketFacts(65534, {LAN: WAY}, policies=(), programs={}, ruleset=nft_ruleset.Ruleset())
    return lambda facts: replace(facts, packets=replace(healthy, **said))


def nat_bridge_alone(**said: Any) -> Change:
    """br0 is such a bridge as libvirt makes."""
    return lambda facts: replace(packets(**said)(facts), bridges=(replace(VIRBR0, name="br0"),))


FAULTS = (
    of_files("a VPN covers the LAN", "qemu-routes", "caution", "leaves by tun0, though: 192.168.1.254 is lost to QEMU",
             "ip route del", change=packets(ways={LAN: Obstacle("leaves by tun0, though", "ip route del")})),
    of_files("a container network covers the resolver", "qemu-routes", "caution", "and nothing is plugged in there",
             "ip route add 192.168.1.254/32 via 192.168.1.253, or give virbr0 another network",
             files={"/proc/net/route": "Iface Destination Gateway Flags RefCnt Use Metric Mask MTU Window IRTT\n"
             "br0 00000000 FD01A8C0 0003 0 0 0 00000000 0 0 0\n"},
             change=lambda facts: replace(packets(ways={LAN: replace(WAY, link="virbr0")})(facts),
                                          bridges=(*facts.bridges, VIRBR0))),
    of_files("a forwarded port goes elsewhere", "translation", "caution",
             "what comes to TCP port 2222 from this host meets table ip nat, chain OUTPUT: tcp dport 2222 dnat to",
             "forward another port, or sudo nft delete rule ip nat OUTPUT handle 4",
             change=packets(ruleset=nft_ruleset.parse(
                 "table ip nat {\n\tchain OUTPUT {\n\t\ttype nat hook output priority -100; policy accept;\n\t\t"
                 "tcp dport 2222 dnat to 10.0.0.5 # handle 4\n\t}\n}\n",
                 '{"nftables": [{"rule": {"family": "ip", "table": "nat", "chain": "OUTPUT", "handle": 4, "expr": ['
                 '{"match": {"op": "==", "left": {"payload": {"protocol": "tcp", "field": "dport"}}, "right": 2222}}, '
                 '{"dnat": {"addr": "10.0.0.5"}}]}}]}'))),
    of_files("IPsec without keys", "ipsec", "caution", "it wants it encrypted for 203.0.113.9, and has no keys",
             "ip xfrm policy delete src 192.168.1.2/32 dst 0.0.0.0/0 dir out",
             change=packets(policies=(KEYLESS,))),
    of_files("a unit without network", "programs", "caution", "at this control group: sd_fw_egress (what goes out)",
             "IPAddressDeny=", change=packets(programs={"this control group": (KernelProgram("sd_fw_egress",
                                                                                            "what goes out"),)})),
    of_files("localhost is IPv6", "localhost", "caution", "/etc/hosts says that localhost is ::1",
             "echo '127.0.0.1 localhost' | sudo tee -a /etc/hosts", change=packets(localhost=("::1",))),
    of_files("a NAT bridge whose server is down", "dhcp-server", "caution",
             "this host translates what comes from br0, and serves no DHCP there", "virsh net-start default",
             change=nat_bridge_alone(addresses={"br0": (IPv4Interface("192.168.122.1/24"),)},
                                     ruleset=nft_ruleset.parse(NAT, ""))),
    of_files("Open vSwitch has the name", "bridge-foreign", "not",
             "br0 is there, and is no bridge of the kernel's but of the kind openvswitch",
             "sudo ovs-vsctl add-port br0 TAP", change=packets(kinds={"br0": "openvswitch"})),
)  # fmt: skip
