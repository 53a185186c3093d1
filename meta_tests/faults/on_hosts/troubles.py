"""Troubles of public reports and their kind, each beside a distribution's firewall and libvirt's network.

The letters are those of docs/troubles.md. What stands beside is innocent, and must not be blamed.
"""

import sys

from meta_tests.faults.on_hosts.typed import LEASE, PEER, on_a_host
from meta_tests.planted import link_program

#: As distributions set it up: it breaks nothing, and stands on most hosts.
FIREWALL = """nft -f - <<'END'
table inet filter {
  chain input { type filter hook input priority filter; policy drop; ct state established,related accept
    ct state invalid drop; iif "lo" accept; meta l4proto { icmp, ipv6-icmp } accept; tcp dport 22 accept
    udp sport 67 udp dport 68 accept; tcp dport 23 drop; }
  chain output { type filter hook output priority filter; policy accept; tcp dport 25 drop; }
}
END
"""
SERVE_VIRBR0 = (
    "dnsmasq --conf-file=/dev/null --no-daemon --user= --group= --pid-file= --port=0 --interface=virbr0 "
    "--dhcp-range=192.168.122.2,192.168.122.9 --leasefile-ro"
)
LIBVIRT = f"""
ip link add virbr0 type bridge stp_state 0; ip addr add 192.168.122.1/24 dev virbr0; ip link set virbr0 up
(exec setsid {SERVE_VIRBR0} --bind-interfaces >/dev/null 2>&1 </dev/null &)
until grep -q ':0043 ' /proc/net/udp; do sleep 0.05; done
"""
BESIDE = FIREWALL + LIBVIRT
ATTACH = f"{sys.executable} {link_program.__file__} up0"
DNS, TCP_TO_THE_LAN = ("user/dns-resolves",), ("user/reach-lan-tcp",)
#: What a VPN's client leaves that fails closed: only the VPN's own packets and the next machine's DHCP may pass.
KILL_SWITCH = """nft -f - <<'END'
table inet killswitch {
  chain output { type filter hook output priority 0; policy drop; oif "lo" accept; udp dport { 67, 68 } accept
    tcp dport 53 reject; ip daddr 192.168.77.254 accept; udp dport 53 reject; reject; }
  chain forward { type filter hook forward priority 0; policy drop; reject; }
}
END
"""
#: As a container engine writes it: all in chains that others jump to, every rule with its counter.
IN_CHAINS = """nft -f - <<'END'
table bridge zones {
  chain forward { type filter hook forward priority 0; policy accept
    meta mark 7 counter accept; iifname "virbr0" counter drop; jump zone; tcp dport 25 counter drop; }
  chain zone { tcp dport 23 counter drop; ip protocol vmap { tcp : jump open, udp : jump closed }; }
  chain open { counter return; }
  chain closed { udp dport 5353 counter drop; meta mark 9 counter return; udp dport 67 counter drop; }
}
END
"""
#: The company's resolver, beyond the LAN's router.
RELAYS = """
import socket
asked = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
asked.bind(("172.18.0.53", 53))
while True:
    question, who = asked.recvfrom(2000)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        asking.settimeout(2)
        asking.sendto(question, ("192.168.77.1", 53))
        asked.sendto(asking.recv(4000), who)
"""
FAULTS = (
    # A. What is blamed has acted.
    on_a_host("dns-dropped-beside-a-firewall", DNS, "DNS question .* seen at the guest's NIC and not at br0: .*where "
              "this stands: table inet filter, chain output: udp dport 53 drop", r"insert rule inet filter output",
              typed=f"{BESIDE}nft add rule inet filter output udp dport 53 drop", as_root=True),
    on_a_host("kill-switch-to-the-lan", TCP_TO_THE_LAN, "this stands: table inet killswitch, chain output: reject",
              "insert rule inet killswitch output", typed=BESIDE + KILL_SWITCH, as_root=True, words=PEER),
    on_a_host("dropped-in-a-chain-of-a-chain", LEASE, "table bridge zones, chain closed: udp dport 67 .*drop",
              "insert rule bridge zones closed", typed=BESIDE + IN_CHAINS, as_root=True),
    on_a_host("program-at-the-uplinks-egress", LEASE, "request was seen at tap0 and not at up0, .*a program in the "
              r"kernel at up0, deny_all \(what goes out\)", "sudo bpftool net", as_root=True,
              typed=f"{BESIDE}nft 'table bridge filter {{ chain forward {{ type filter hook forward priority 0; "
              f"tcp dport 23 drop; }}; }}'; {ATTACH}",
              mended="ip link set up0 nomaster; ip link set up0 master br0"),
    # B. The way that the host's own packets take.
    on_a_host("vpn-over-the-lan", TCP_TO_THE_LAN, "leaves by tun0, though the network of 192.168.77.1 is at br0: by "
              "rule 5270: from all lookup 52", "ip route del 192.168.77.0/24 dev tun0 table 52", words=PEER,
              typed=f"{BESIDE}ip link add tun0 type veth peer name tun1; ip link set tun1 up; ip link set tun0 up;"
              "ip route add 192.168.77.0/24 dev tun0 table 52; ip rule add pref 5270 lookup 52"),
    on_a_host("container-network-over-a-resolver", DNS, r"172\.18\.0\.53 is looked for at the bridge x, where this "
              r"host's own network 172\.18\.0\.0/16 is, and nothing is plugged in there",
              r"ip route add 172\.18\.0\.53/32 via 192\.168\.77\.1", lan_program=RELAYS,
              at_lan="ip addr add 172.18.0.53/32 dev lo; sleep 0.2",
              typed=f"{BESIDE}ip link add x type bridge; ip addr add 172.18.0.1/16 dev x; ip link set x up;"
              "echo nameserver 172.18.0.53 > /etc/resolv.conf"),
    # C. Addresses that are translated.
    on_a_host("port-of-the-lan-redirected", ("bridge/reach-lan",), "tcp dport 7007 redirect to :20559, which sends it "
              "elsewhere", "insert rule ip nat PREROUTING",
              typed=f"{BESIDE}echo 1 > /proc/sys/net/bridge/bridge-nf-call-iptables; nft 'table ip nat {{ chain "
              "PREROUTING { type nat hook prerouting priority -100; tcp dport 7007 redirect to :20559; }; }'",
              words=PEER, as_root=True),
    # D. Policy that nft, tc, ip and bridge do not list.
    on_a_host("ipsec-without-keys", TCP_TO_THE_LAN,
              r"a policy of IPsec on this host \(src 192\.168\.77\.2/32 dst 0\.0\.0\.0/0 dir out\) "
              "takes .* kernel counted Xfrm", "ip xfrm policy delete", words=PEER, as_root=True,
              typed=f"{BESIDE}ip xfrm policy add dir out src 192.168.77.2/32 dst 0.0.0.0/0 tmpl src 192.168.77.2 dst "
              "203.0.113.9 proto esp mode tunnel"),
    # F. Who serves DHCP, and where.
    on_a_host("no-server-beside-libvirts", (*LEASE, "bridge/lease-dns"), "no DHCP server answers on the LAN behind br0",
              "LAN's DHCP server", typed=BESIDE, stops_dhcp=True, mended="", as_root=True),
    on_a_host("no-server-beside-one-that-hears-all", LEASE, "no DHCP server answers on the LAN behind br0",
              "LAN's DHCP server", typed=BESIDE.replace(" --bind-interfaces", ""), stops_dhcp=True, mended="",
              as_root=True),
)  # fmt: skip
