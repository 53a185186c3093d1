"""Faults that the code under test has no word for: it has to find the place by following a frame."""

from meta_tests.faults.on_hosts.typed import END_BACKGROUND, LEASE, PEER, filtering, on_a_host, python, with_every_tap

TCP_TO_THE_LAN = ("user/reach-lan-tcp",)
#: A program of two instructions, of a kind, r0 = a verdict and exit, loaded by bpf(2) and attached by netlink.
PROGRAM = """
import ctypes, os, struct
from pyroute2 import IPRoute
program = struct.pack("<BBhi", 0xB7, 0, 0, {verdict}) + struct.pack("<BBhi", 0x95, 0, 0, 0)
instructions, licence = ctypes.create_string_buffer(program), ctypes.create_string_buffer(b"GPL")
words = struct.pack("<IIQQIIQII16sI", {kind}, 2, ctypes.addressof(instructions), ctypes.addressof(licence), 0, 0, 0, 0,
                    0, b"odd", 0)
attributes = ctypes.create_string_buffer(words.ljust(128, bytes(1)), 128)
loaded = ctypes.CDLL(None, use_errno=True).syscall(321, 5, attributes, 128)
assert loaded >= 0, os.strerror(ctypes.get_errno())
with IPRoute() as links:
    up0 = links.link_lookup(ifname="up0")[0]
    {attach}
"""
XDP_DROPS = PROGRAM.format(verdict="1", kind="6", attach='links.link("set", index=up0, xdp_fd=loaded)')
#: As tc(8) attaches one that needs no action: it decides itself, about what leaves.
TC_DROPS = PROGRAM.format(
    verdict="2",
    kind="3",
    attach='links.tc("add", "clsact", up0); links.tc("add-filter", "bpf", up0, ":1", fd=loaded, name="odd", '
    "parent=0xFFFFFFF3, direct_action=True, classid=1)",
)
#: Everything goes to the loopback instead.
ASTRAY = "tc qdisc add dev {link} clsact; tc filter add dev {link} {hook} protocol all u32 match u32 0 0 flowid 1:1 "
ASTRAY += "action mirred egress redirect dev lo"
FIXED_MAC = "from qemunet_tests.network.fixed_mac import fixed_mac\nprint(fixed_mac('bridge'))"

FAULTS = (
    on_a_host("xdp-program", LEASE, "no answer to the DHCP request was seen at up0, where an XDP program on up0 "
              "decides .* whether it took the answer cannot be told", "sudo bpftool net show dev up0",
              typed=python(XDP_DROPS), mended="ip link set dev up0 xdp off"),
    on_a_host("program-of-tc", LEASE, "request was seen at tap0 and not at up0, .*this stands: a tc egress filter on "
              "up0: .* odd direct-action", "^sudo tc filter del dev up0 egress protocol all pref ",
              typed=python(TC_DROPS), as_root=True),
    on_a_host("traffic-redirected", LEASE, "request was seen at tap0 and not at up0, .*a tc egress filter on up0",
              typed=ASTRAY.format(link="up0", hook="egress"), as_root=True),
    on_a_host("traffic-of-the-host-redirected", ("bridge/icmp",), "request .* reached br0, and this host gave no "
              "answer, where this stands: a tc ingress filter on br0", typed=ASTRAY.format(link="br0", hook="ingress"),
              as_root=True),
    on_a_host("ports-isolated", LEASE, "seen at tap0 and not at up0, .*up0 is isolated; and tap0 is isolated",
              typed="bridge link set dev up0 isolated on\n" + with_every_tap("bridge link set dev $t isolated on"),
              as_root=True, remedy="^sudo bridge link set dev up0 isolated off$"),
    on_a_host("tap-locked", LEASE, "seen at tap0 and not at up0.*tap0 is locked",
              typed=with_every_tap("bridge link set dev $t locked on learning off"), as_root=True,
              mended=END_BACKGROUND),
    on_a_host("no-broadcast-at-the-uplink", LEASE, "seen at tap0 and not at up0, .*up0 gets no broadcast",
              typed="bridge link set dev up0 bcast_flood off", as_root=True),
    on_a_host("mac-nailed-to-the-uplink", LEASE, "takes the guest's MAC .* for somebody behind up0: .*written by hand",
              typed=f"bridge fdb add $({python(FIXED_MAC).replace('<<', ' <<', 1)}\n) dev up0 master static sticky"),
    on_a_host("blackhole", TCP_TO_THE_LAN, r"sends nothing to 192\.168\.77\.1 .*the route blackhole 192\.168\.77\.1",
              typed="ip route add blackhole 192.168.77.1/32", words=PEER),
    on_a_host("thrown-out-of-the-table", TCP_TO_THE_LAN, r"sends nothing to 192\.168\.77\.1 .*the route throw 192\.168",
              "^sudo ip route del throw 192", typed="ip route add throw 192.168.77.1/32", words=PEER),
    on_a_host("policy-of-old-tables", TCP_TO_THE_LAN, "seen at the guest's NIC and not at br0: .*iptables-legacy: -P "
              "OUTPUT DROP, which counted it", "^sudo iptables-legacy -I OUTPUT -d 192.168.77.1 -p tcp --dport 7007 -j",
              typed="iptables-legacy -A OUTPUT -o lo -j ACCEPT; iptables-legacy -P OUTPUT DROP", words=PEER,
              as_root=True),
    on_a_host("rule-of-old-tables", TCP_TO_THE_LAN, "seen at the guest's NIC and not at br0: .*iptables-legacy: -A "
              "ours -p tcp .*-j DROP, which counted it", "^sudo iptables-legacy -I OUTPUT -d 192.168.77.1 -p tcp",
              typed="iptables-legacy -N ours; iptables-legacy -A OUTPUT -j ours; "
              "iptables-legacy -A ours -p tcp --dport 7007 -j DROP", words=PEER, as_root=True),
    on_a_host("rule-prohibits", TCP_TO_THE_LAN, r"sends nothing to 192\.168\.77\.1 .*the rule 10:.* prohibit",
              typed="ip rule add to 192.168.77.1 prohibit pref 10", words=PEER),
    on_a_host("rule-prohibits-qemus-user", TCP_TO_THE_LAN, r"sends nothing to 192\.168\.77\.1 .*uidrange 65534-65534",
              typed="ip rule add uidrange 65534-65534 to 192.168.77.1 prohibit pref 10", words=PEER, as_root=True),
    on_a_host("firewall-against-qemus-user", TCP_TO_THE_LAN, "seen at the guest's NIC and not at br0: .*skuid 65534",
              typed=filtering("ip", "output", "meta skuid 65534 drop"), words=PEER, as_root=True),
    on_a_host("neighbour-written-by-hand", TCP_TO_THE_LAN, "to the MAC 02:00:00:00:00:01: so says an entry",
              typed="ip neigh replace 192.168.77.1 lladdr 02:00:00:00:00:01 dev br0 nud permanent", words=PEER),
    on_a_host("host-ignores-pings", ("bridge/icmp",), "echo request .* reached br0, and this host gave no answer, "
              "where this stands: this host ignores echo requests", typed="sysctl -w net.ipv4.icmp_echo_ignore_all=1"),
)  # fmt: skip
