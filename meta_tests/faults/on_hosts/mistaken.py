"""Troubles that something innocent could be taken for, which stands beside or looks alike: what is named is not that.

Each stands beside a distribution's firewall and libvirt's network, as in troubles.py.
"""

import sys

from meta_tests.faults.on_hosts.troubles import BESIDE, DNS, FIREWALL, IN_VIRBR0, TCP_TO_THE_LAN, TRANSLATED
from meta_tests.faults.on_hosts.troubles import OUTSIDE as ADDRESS_OUTSIDE
from meta_tests.faults.on_hosts.typed import END_BACKGROUND, LEASE, PEER, on_a_host, with_every_tap
from meta_tests.faults.on_hosts.user import OUTSIDE, TCP_OUTSIDE

REACH_OUTSIDE = ("bridge/reach-outside",)
NEIGHBOUR = ("--peer", "192.168.77.7:7007")
#: A network of containers that is nobody's any more, and a strict filter: what claims to be from there is dropped.
STRICT = """ip link add x type bridge; ip addr add 172.18.0.1/16 dev x; ip link set x up
sysctl -qw net.ipv4.conf.all.rp_filter=1 net.ipv4.conf.br0.rp_filter=1
"""
#: Somebody on the LAN sends with such an address, all the time.
NOISE = """
import time
from scapy.all import Ether, IP, UDP, getmacbyip, sendp
frame = Ether(dst=getmacbyip("192.168.77.2")) / IP(src="172.18.0.5", dst="192.168.77.2") / UDP(dport=9)
while True:
    sendp(frame, iface="lan0", verbose=False)
    time.sleep(0.1)
"""
#: What somebody flushed who set his firewall up anew, libvirt's rules among it.
FLUSHED = TRANSLATED + "nft flush ruleset\n" + FIREWALL.replace("tcp dport 22", 'iifname "virbr0" accept; tcp dport 22')
MASQUERADE = (
    "nft 'table ip nat { chain POSTROUTING { type nat hook postrouting priority 100; ip saddr 192.168.122.0/24 "
    "ip daddr != 192.168.122.0/24 masquerade; }; }'"
)
#: A LAN of a wide range, and a VPN with its resolver in a narrow part of it: both are meant so.
VPN_WITHIN = """ip addr add 10.8.1.2/16 dev br0; ip link add wg0 type veth peer name wg1
ip link set wg0 up; ip link set wg1 up; ip addr add 10.8.0.2/32 dev wg0; ip route add 10.8.0.0/24 dev wg0
echo nameserver 10.8.0.1 > /etc/resolv.conf
"""
OWN_RESOLVER = "echo nameserver 192.168.77.2 > /etc/resolv.conf"
#: Two connections have the only ports there are to call from.
CALLERS = f"""sysctl -qw net.ipv4.ip_local_port_range='40000 40001'
(exec setsid {sys.executable} -c "
import signal, socket
held = [socket.create_connection(('192.168.77.1', 7007)) for _ in range(2)]
signal.pause()" >/dev/null 2>&1 </dev/null &)
until test $(grep -c ' 014DA8C0:1B5F 01 ' /proc/net/tcp) = 2; do sleep 0.05; done
"""

#: What a resolver of this host's own leaves that has gone: it had all questions sent to itself.
SENT_ELSEWHERE = """nft 'table ip swap { chain OUTPUT { type nat hook output priority -100
  udp dport 53 ip daddr != 127.0.0.0/8 dnat to 10.244.0.5:5353; }; }'
"""

#: Offers an address to whoever asks, and refuses to lease it.
TAKES_BACK = """
import socket
serving = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
serving.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
serving.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"lan0")
serving.bind(("", 67))
own, ours = socket.inet_aton("192.168.77.1"), socket.inet_aton("192.168.77.60")
while True:
    asked = serving.recv(2000)
    discovers = bytes([53, 1, 1]) in asked[240:]
    head = bytes([2]) + asked[1:16] + (ours if discovers else bytes(4)) + own + bytes(4) + asked[28:44] + bytes(192)
    options = bytes([99, 130, 83, 99, 53, 1, 2 if discovers else 6, 54, 4]) + own
    options += (bytes([51, 4, 0, 0, 14, 16, 1, 4, 255, 255, 255, 0]) if discovers else b"") + bytes([255])
    serving.sendto((head + options).ljust(300, bytes(1)), ("255.255.255.255", 68))
"""
#: Offers likewise, and says nothing any more.
TURNS_SILENT = TAKES_BACK.replace("[240:]\n", "[240:]\n    if not discovers:\n        continue\n")

FAULTS = (
    on_a_host("kept-in-by-old-tables-seen-by-a-user", LEASE, "request left the guest's NIC, and no answer came .*; how "
              "far it got .* only root may see|by the kernel's counters, seen at tap0 and not at up0", "sudo qemunet",
              mended="iptables-legacy -P FORWARD ACCEPT",
              typed=f"{BESIDE}sysctl -qw net.bridge.bridge-nf-call-iptables=1; iptables-legacy -P FORWARD DROP"),
    on_a_host("answers-of-others-dropped", TCP_TO_THE_LAN, "though 192.168.77.1 is there and answers ARP: a firewall",
              "look at both", typed=BESIDE + STRICT, lan_program=NOISE, words=PEER, as_root=True, mended="",
              at_lan="nft 'table ip wall { chain in { type filter hook input priority 0; tcp dport 7007 drop; }; }'",
              mended_at_lan="nft delete table ip wall"),
    on_a_host("arp-switched-off", ("bridge/icmp",), "ARP request for 192.168.77.2 reached br0, and this host gave no "
              "answer, where this stands: ARP is switched off at br0", "ip link set br0 arp on", as_root=True,
              typed=f"{BESIDE}sysctl -qw net.ipv4.icmp_echo_ignore_all=1; ip link set br0 arp off",
              mended="ip link set br0 arp on; sysctl -qw net.ipv4.icmp_echo_ignore_all=0"),
    on_a_host("answers-by-arp-not-taken", TCP_TO_THE_LAN, "behind up0 answers ARP for 192.168.77.7, and not to this "
              "host's kernel: .*table arp filter, chain INPUT: arp operation reply arp saddr ip 192.168.77.7 drop",
              "insert rule arp filter INPUT", words=NEIGHBOUR, at_lan="ip addr add 192.168.77.7/32 dev lo",
              typed=f"{BESIDE}nft 'table arp filter {{ chain INPUT {{ type filter hook input priority 0; "
              "arp operation reply arp saddr ip 192.168.77.7 drop; }; }'", as_root=True),
    on_a_host("one-port-isolated", LEASE, "by something that is not known to us; whether it was this, which stands "
              "there, cannot be told: table bridge odd, chain forward: meta mark != 0x00000007 drop",
              "nft list ruleset", as_root=True,
              typed=f"{BESIDE}nft 'table bridge odd {{ chain forward {{ type filter hook forward priority 0; "
              f"meta mark != 7 drop; }}; }}'\n{with_every_tap('bridge link set dev $t isolated on')}",
              mended=f"{END_BACKGROUND}; nft delete table bridge odd"),
    on_a_host("no-longer-translated", REACH_OUTSIDE, r"left this host at br0 with the guest's own address "
              r"192\.168\.122\.\d as its source, .* a way back to 192\.168\.122\.0/24", "set its rules again",
              typed=FLUSHED, at_lan=ADDRESS_OUTSIDE, words=IN_VIRBR0, as_root=True, mended=MASQUERADE),
    on_a_host("no-longer-translated-seen-by-a-user", REACH_OUTSIDE, "left this host at br0, by the kernel's counters, "
              r"and no answer came in there: whether its source was an address of 192\.168\.122\.0/24",
              "sudo qemunet run", typed=FLUSHED, at_lan=ADDRESS_OUTSIDE, words=IN_VIRBR0, mended=MASQUERADE),
    on_a_host("machine-outside-is-off", TCP_OUTSIDE, "and the router 192.168.77.1 is there: whether it passes that on, "
              "and whether 203.0.113.9 is there, this host cannot tell", "traceroute 203.0.113.9", typed=BESIDE,
              words=OUTSIDE, at_lan="ip route add blackhole 203.0.113.0/24; sysctl -qw net.ipv4.ip_forward=1",
              mended="", mended_at_lan="ip addr add 203.0.113.9/32 dev lo"),
    on_a_host("rejected-by-the-lan", TCP_TO_THE_LAN, r"192\.168\.77\.1 rejects the connection to 192\.168\.77\.1:7007 "
              r"by ICMP \(port unreachable\): a rule of its firewall does", "accept it there", typed=BESIDE, words=PEER,
              at_lan="nft 'table ip wall { chain in { type filter hook input priority 0; tcp dport 7007 reject; }; }'",
              mended="", mended_at_lan="nft delete table ip wall"),
    on_a_host("lease-refused", LEASE, r"DHCP server 192\.168\.77\.1 offers 192\.168\.77\.60, the guest asks for it, "
              r"\d+ times, and 192\.168\.77\.1 refuses that \(DHCPNAK\)", "see in the log of 192.168.77.1", mended="",
              typed=BESIDE, stops_dhcp=True, lan_program=TAKES_BACK, as_root=True),
    on_a_host("lease-never-confirmed", LEASE, r"DHCP server 192\.168\.77\.1 offers 192\.168\.77\.60, the guest asks "
              r"for it, \d+ times, and no answer to that comes", "see in the log of 192.168.77.1", mended="",
              typed=BESIDE, stops_dhcp=True, lan_program=TURNS_SILENT, as_root=True),
    on_a_host("router-named-otherwise", REACH_OUTSIDE, r"server 192\.168\.77\.1 names 192\.168\.77\.254 as the router, "
              r"and nobody behind up0 answers ARP for it: this host goes out by 192\.168\.77\.1", "DHCP option 3",
              typed=BESIDE, at_lan="ip addr add 203.0.113.9/32 dev lo", words=OUTSIDE, as_root=True, mended="",
              dhcp_options="--dhcp-option-force=option:router,192.168.77.254"),
    on_a_host("sent-from-another-network", TCP_TO_THE_LAN, r"sends to 192\.168\.77\.1 from 10\.99\.0\.1, .* and is not "
              r"answered; from 192\.168\.77\.2, .* it is", r"^sudo ip route replace 192\.168\.77\.1/32 dev br0 src 192",
              typed=f"{BESIDE}ip addr add 10.99.0.1/32 dev lo; ip route add 192.168.77.1/32 dev br0 src 10.99.0.1",
              words=PEER),
    on_a_host("answers-not-let-in", TCP_TO_THE_LAN, "SYN-ACK was seen at br0 and not at the guest's NIC: .*where this "
              "stands: table inet closed, chain input: .*policy drop", "^sudo nft add rule inet closed input ip saddr "
              "192.168.77.1 ip daddr 192.168.77.2 tcp sport 7007 accept$", words=PEER, as_root=True,
              typed=f"{BESIDE}nft 'table inet closed {{ chain input {{ type filter hook input priority 0; policy drop; "
              "iif lo accept; udp sport { 53, 67 } accept; meta l4proto icmp accept; tcp dport 22 accept; }; }'"),
    on_a_host("netmask-told-otherwise", ("bridge/reach-lan",), r"192\.168\.77\.1 tells guests that their network "
              r"is 192\.168\.77\.\d+/32, and this host's on br0 is 192\.168\.77\.0/24: 192\.168\.77\.1 is in one",
              r"netmask 255\.255\.255\.0 ", typed=BESIDE, words=PEER, as_root=True, mended="",
              dhcp_options="--dhcp-option-force=1,255.255.255.255"),
    on_a_host("rejected-by-this-host", TCP_TO_THE_LAN, "connection to 192.168.77.1:7007 is refused by this host "
              "itself: nothing left by br0", "accept this one there", words=PEER, mended="nft delete table inet vpn",
              typed=f"{BESIDE}nft 'table inet vpn {{ chain output {{ type filter hook output priority 0; "
              "tcp dport 7007 reject with tcp reset; }; }'"),
    on_a_host("dropped-by-this-host", (*TCP_TO_THE_LAN, *DNS), "7007 is dropped by this host itself: nothing left by "
              r"br0|this host itself sends nothing to 192\.168\.77\.1:53 \(Operation not permitted\)",
              "nft list ruleset", words=PEER, mended="nft delete table inet vpn",
              typed=f"{BESIDE}nft 'table inet vpn {{ chain output {{ type filter hook output priority 0; "
              "meta skuid 65534 ip daddr 192.168.77.1 drop; }; }'"),
    on_a_host("no-port-to-call-from", TCP_TO_THE_LAN, "this host itself sends nothing to 192.168.77.1:7007 .*no port "
              "of its own is free", "ip_local_port_range", typed=BESIDE + CALLERS, words=PEER,
              mended="sysctl -qw net.ipv4.ip_local_port_range='32768 60999'"),
    on_a_host("hosts-address-twice", TCP_TO_THE_LAN, "another machine behind up0, has this host's own address "
              "192.168.77.2", "give one of the two another", typed=BESIDE, words=NEIGHBOUR, as_root=True, mended="",
              at_lan="ip addr add 192.168.77.7/24 dev lan0; ip addr add 192.168.77.2/32 dev lo",
              mended_at_lan="ip addr del 192.168.77.2/32 dev lo"),
    on_a_host("questions-sent-elsewhere", DNS, "DNS question .* seen at the guest's NIC and not at br0: .*where this "
              r"stands: table ip swap, chain OUTPUT: udp dport 53 .*dnat to .*:5353, which sends it elsewhere",
              "insert rule ip swap OUTPUT", typed=BESIDE + SENT_ELSEWHERE, as_root=True),
    on_a_host("questions-sent-elsewhere-seen-by-a-user", DNS, r"resolver 192\.168\.77\.1, the first .*, answers this "
              "host by TCP and not by UDP: .* or sent elsewhere, by this host's own packet filter or beyond it",
              "sudo nft list ruleset", typed=BESIDE + SENT_ELSEWHERE, mended="nft delete table ip swap"),
    on_a_host("resolver-of-a-vpn-is-dead", DNS, r"the resolver 10\.8\.0\.1, the first in /etc/resolv\.conf, does not",
              "put a resolver that answers first", typed=BESIDE + VPN_WITHIN, as_root=True,
              mended="echo nameserver 192.168.77.1 > /etc/resolv.conf"),
    on_a_host("resolver-here-is-not-there", DNS, r"resolver 192\.168\.77\.2, the first in /etc/resolv\.conf, is this "
              "host itself, and no program of it listens at UDP port 53", "start the resolver",
              typed=BESIDE + OWN_RESOLVER, mended="echo nameserver 192.168.77.1 > /etc/resolv.conf"),
    on_a_host("rule-for-a-port", TCP_TO_THE_LAN, "the rule 50: from all ipproto tcp dport 7007 blackhole says so",
              "ip rule del pref 50", typed=f"{BESIDE}ip rule add pref 50 ipproto tcp dport 7007 blackhole", words=PEER),
    on_a_host("kept-by-a-local-route", TCP_TO_THE_LAN, r"takes what it sends to 192\.168\.77\.1 for itself, .* the "
              r"route local 192\.168\.77\.1 dev lo table 99, by rule 10: ", "^sudo ip route del local 192", words=PEER,
              typed=f"{BESIDE}ip route add local 192.168.77.1 dev lo table 99; "
              "ip rule add to 192.168.77.1 lookup 99 pref 10"),
    on_a_host("forward-kept-from-the-host", ("user/hostfwd-ssh-2222",), "this host's own packet filter stops what is "
              "sent to it at 127.0.0.1 .table inet jail, chain output: oif .lo. tcp dport 2222 reject",
              "insert rule inet jail output", as_root=True,
              typed=f"{BESIDE}nft 'table inet jail {{ chain output {{ type filter hook output priority 0; "
              "oif lo tcp dport 2222 reject; }; }'"),
    on_a_host("blocked-by-a-named-set", TCP_TO_THE_LAN, "table inet crowd, chain output: ip daddr @blocked drop",
              "insert rule inet crowd output", words=PEER, as_root=True,
              typed=f"{BESIDE}nft 'table inet crowd {{ set blocked {{ type ipv4_addr; flags interval; elements = {{ "
              "192.168.77.0/28, 10.1.0.0/16 }; }; chain output { type filter hook output priority 0; "
              "ip daddr @blocked drop; }; }'"),
    on_a_host("group-of-qemu-kept-in", TCP_TO_THE_LAN, "table inet jail, chain output: meta skgid 65534 .*drop",
              "insert rule inet jail output", words=PEER, as_root=True,
              typed=f"{BESIDE}nft 'table inet jail {{ chain output {{ type filter hook output priority 0; "
              "meta skgid 65534 ip daddr 192.168.77.0/24 drop; }; }'"),
    on_a_host("list-includes-a-deny", ("bridge/acl-allow", *LEASE), "line 1 of /etc/qemu/users.conf denies br0",
              "take that deny out of /etc/qemu/users.conf", kind="the list does not allow the bridge",
              typed=f"{BESIDE}printf 'include /etc/qemu/users.conf\\nallow br0\\n' > /etc/qemu/bridge.conf;"
              "echo deny br0 > /etc/qemu/users.conf", mended="true > /etc/qemu/users.conf"),
)  # fmt: skip
