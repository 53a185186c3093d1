"""Troubles of public reports and their kind, each beside a distribution's firewall and libvirt's network.

The letters are those of docs/troubles.md. What stands beside is innocent, and must not be blamed.
"""

import shlex
import sys

from meta_tests.faults.on_hosts.typed import LEASE, PEER, in_background, on_a_host
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
#: A VPN between all machines of a company, one of which offers a way to a network that is like this host's own.
MESH = """ip link add tun0 type veth peer name tun1; ip link set tun1 up; ip link set tun0 up
ip route add 192.168.77.0/24 dev tun0 table 52; ip rule add pref 5270 lookup 52
"""
#: A VPN whose keys are gone.
IPSEC = """ip xfrm policy add dir out src 192.168.77.2/32 dst 0.0.0.0/0 tmpl src 192.168.77.2 dst 203.0.113.9 \\
proto esp mode tunnel
"""
WITHOUT_KEYS = r"a policy of IPsec on this host \(src 192\.168\.77\.2/32 dst 0\.0\.0\.0/0 dir out\)"
#: The company's resolver, beyond the LAN's router. It is no part of the fault and outlives it.
RELAYS = """
import contextlib, socket
asked = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
asked.bind(("172.18.0.53", 53))
while True:
    question, who = asked.recvfrom(2000)
    with contextlib.suppress(TimeoutError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        asking.settimeout(2)
        asking.sendto(question, ("192.168.77.1", 53))
        asked.sendto(asking.recv(4000), who)
"""
#: Not on lo, where the LAN's own dnsmasq would take the port, and keep it.
COMPANYS_RESOLVER = f"""ip link add dns0 type bridge; ip link set dns0 up; ip addr add 172.18.0.53/32 dev dns0
(exec setsid {sys.executable} -c {shlex.quote(RELAYS)} >/dev/null 2>&1 </dev/null &)
until grep -q 350012AC:0035 /proc/net/udp; do sleep 0.05; done
"""
#: Says the same of every name, but where it passes a name on: then what the LAN's own resolver says.
ANSWERS_ALL = """
import socket
asked = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
asked.bind(("192.168.77.53", 53))
while True:
    question, who = asked.recvfrom(2000)
    asked.sendto(question[:2] + bytes([question[2] | 0x80, 0x80 | {code}]) + question[4:], who)
"""
#: Not on lo, where the LAN's own dnsmasq would take the port.
AT_53 = {"at_lan": "ip link add dns0 type bridge; ip link set dns0 up; ip addr add 192.168.77.53/32 dev dns0",
         "mended": "echo nameserver 192.168.77.1 > /etc/resolv.conf"}  # fmt: skip
OTHER_RESOLVER = "echo nameserver 192.168.77.53 > /etc/resolv.conf"
#: A name of the LAN's that is not its resolver's, and one that is.
EXPECT = "printf 'names = [\"build.corp\"]\\n' > /mnt/expect.toml; chmod 644 /mnt/expect.toml;"
NAMES = ("--expect", "/mnt/expect.toml")
LOCAL_RESOLVER = in_background("dnsmasq --conf-file=/dev/null --no-daemon --user= --group= --pid-file= --no-resolv "
                               "--server=192.168.77.1 --listen-address=127.0.0.1 --bind-interfaces")  # fmt: skip
#: libvirt's network as guests meet it: translated towards the LAN, and let through by a firewall.
TRANSLATED = f"""{LIBVIRT}
sysctl -qw net.ipv4.ip_forward=1; echo allow virbr0 >> /etc/qemu/bridge.conf
nft 'table ip nat {{ chain POSTROUTING {{ type nat hook postrouting priority 100
  ip saddr 192.168.122.0/24 ip daddr != 192.168.122.0/24 masquerade; }}; }}'
"""
LETS_VIRBR0 = FIREWALL.replace("tcp dport 22", 'iifname "virbr0" accept; tcp dport 22')
IN_VIRBR0 = ("--bridge", "virbr0", "--peer", "198.51.100.1:7007")
BEYOND = ("bridge/reach-outside",)
OUTSIDE = "ip addr add 198.51.100.1/32 dev lo"
#: As somebody keeps his host closed who forgot the network of his guests.
MANGLED = """nft -f - <<'END'
table ip mangle { chain PREROUTING { type filter hook prerouting priority mangle
  iifname { "lo", "br0" } accept; counter drop; }; }
END
"""
#: Of a network of this host's own, whose packets it passes on.
PASSED_ON = {"at_lan": OUTSIDE, "words": IN_VIRBR0, "as_root": True}
TO_NOBODY = "ip route add default via 192.168.77.99 dev br0 table 99; ip rule add pref 50"
ROUTED = (
    on_a_host(
        "no-forwarding-from-one-bridge",
        BEYOND,
        r"passes no packets on that come in at virbr0 \(net/ipv4/conf/",
        "^sudo sysctl -w net/ipv4/conf/virbr0/forwarding=1$",
        typed=f"{LETS_VIRBR0}{TRANSLATED}sysctl -qw net.ipv4.conf.virbr0.forwarding=0",
        **PASSED_ON,
    ),
    on_a_host(
        "rule-prohibits-passing-on",
        BEYOND,
        "does not pass on what comes in at virbr0 .*: the rule 50: from all iif virbr0 prohibit says so",
        "^sudo ip rule del pref 50 iif virbr0 prohibit$",
        typed=f"{LETS_VIRBR0}{TRANSLATED}ip rule add iif virbr0 pref 50 prohibit",
        **PASSED_ON,
    ),
    on_a_host(
        "handed-on-to-nobody",
        BEYOND,
        r"hands what comes in at virbr0 for 198\.51\.100\.1 to 192\.168\.77\.99, "
        r"which answers no ARP at br0; by the route default .* table 99, by rule 50",
        "or mend that route",
        typed=f"{LETS_VIRBR0}{TRANSLATED}{TO_NOBODY} to 198.51.100.0/24 iif virbr0 lookup 99",
        mended="ip rule del pref 50",
        **PASSED_ON,
    ),
    on_a_host(
        "guests-of-nat-in-a-vpn",
        BEYOND,
        r"what comes in at virbr0 for 198\.51\.100\.1 leaves by tun0 and not by "
        "br0, .*; by the route default dev tun0 table 99, by rule 50: from 192.168.122.0/24 lookup 99",
        "^sudo ip rule add pref 49 iif virbr0 to 198.51.100.1 lookup main;",
        typed=f"{LETS_VIRBR0}{TRANSLATED}ip link add tun0 type veth peer name tun1; ip link set tun1 up; "
        "ip link set tun0 up; ip route add default dev tun0 table 99; ip rule add pref 50 from 192.168.122.0/24 "
        "lookup 99; ip rule add pref 40 lookup main suppress_prefixlength 0",
        **PASSED_ON,
    ),
    on_a_host(
        "blackhole-for-passing-on",
        BEYOND,
        r"sends nothing to 198\.51\.100\.1 \(Invalid argument\): the route "
        "blackhole 198.51.100.1 says so",
        "^sudo ip route del blackhole 198.51.100.1$",
        typed=f"{LETS_VIRBR0}{TRANSLATED}ip route add blackhole 198.51.100.1",
        **PASSED_ON,
    ),
    on_a_host(
        "router-of-qemus-user-is-off",
        ("user/reach-outside-tcp",),
        "what user 65534, whom QEMU belongs to, sends "
        r"to 198\.51\.100\.1 is handed to 192\.168\.77\.99, which answers no ARP at br0; by the route default",
        "or mend that route",
        typed=f"{BESIDE}{TO_NOBODY} to 198.51.100.0/24 uidrange 65534-65534 lookup 99",
        mended="ip rule del pref 50",
        at_lan=OUTSIDE,
        words=("--peer", "198.51.100.1:7007"),
        as_root=True,
    ),
)
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
              mended=f"{ATTACH} off"),
    # B. The way that the host's own packets take.
    on_a_host("vpn-over-the-lan", TCP_TO_THE_LAN, "leaves by tun0, though the network of 192.168.77.1 is at br0: by "
              "rule 5270: from all lookup 52", "ip route del 192.168.77.0/24 dev tun0 table 52", words=PEER,
              typed=BESIDE + MESH),
    on_a_host("vpn-over-the-guests", ("bridge/reachable-ping", "bridge/host-reaches-guest"), r"what this host sends to "
              r"192\.168\.77\.\d+ leaves by tun0, though the network of 192\.168\.77\.\d+ is at br0: by rule 5270",
              "ip route del 192.168.77.0/24 dev tun0 table 52", typed=BESIDE + MESH),
    on_a_host("container-network-over-a-resolver", DNS, r"172\.18\.0\.53 is looked for at the bridge x, where this "
              r"host's own network 172\.18\.0\.0/16 is, and nothing is plugged in there",
              r"ip route add 172\.18\.0\.53/32 via 192\.168\.77\.1", at_lan=COMPANYS_RESOLVER,
              typed=f"{BESIDE}ip link add x type bridge; ip addr add 172.18.0.1/16 dev x; ip link set x up;"
              "echo nameserver 172.18.0.53 > /etc/resolv.conf"),
    # C. Addresses that are translated.
    on_a_host("port-of-the-lan-redirected", ("bridge/reach-lan",), "tcp dport 7007 redirect to :20559, which sends it "
              "elsewhere", "insert rule ip nat PREROUTING",
              typed=f"{BESIDE}echo 1 > /proc/sys/net/bridge/bridge-nf-call-iptables; nft 'table ip nat {{ chain "
              "PREROUTING { type nat hook prerouting priority -100; tcp dport 7007 redirect to :20559; }; }'",
              words=PEER, as_root=True),
    on_a_host("forward-translated", ("user/hostfwd-ssh-2222",), "sends to its own TCP port 2222, which QEMU forwards, "
              "goes elsewhere by table ip swap, chain OUTPUT: tcp dport 2222 .*dnat to 10.244.0.5:22",
              "insert rule ip swap OUTPUT .* tcp dport 2222 fib daddr type local accept", as_root=True,
              typed=f"{BESIDE}nft 'table ip swap {{ chain OUTPUT {{ type nat hook output priority -100; "
              "tcp dport 2222 fib daddr type local dnat to 10.244.0.5:22; }; }'"),
    # D. Policy that nft, tc, ip and bridge do not list.
    on_a_host("ipsec-without-keys", TCP_TO_THE_LAN, rf"{WITHOUT_KEYS} takes .* kernel counted Xfrm",
              "ip xfrm policy delete", words=PEER, as_root=True, typed=BESIDE + IPSEC),
    on_a_host("ipsec-over-the-guests", ("bridge/host-reaches-guest",), rf"{WITHOUT_KEYS} takes what it sends to "
              r"192\.168\.77\.\d+ .*echo request to 192\.168\.77\.2\) the kernel counted Xfrm",
              "ip xfrm policy delete", as_root=True, typed=BESIDE + IPSEC),
    # E. What a resolver's answer is worth.
    on_a_host("resolver-refuses-everything", DNS, r"resolver 192\.168\.77\.53 answers REFUSED whatever it is asked "
              r"\(localhost\)", "put one that does first in /etc/resolv.conf", typed=BESIDE + OTHER_RESOLVER,
              lan_program=ANSWERS_ALL.format(code=5), **AT_53),
    on_a_host("resolver-fails-a-name", DNS, r"resolver 192\.168\.77\.53 answers SERVFAIL for printer\.lan",
              "put 192.168.77.1 first in /etc/resolv.conf", words=NAMES, lan_program=ANSWERS_ALL.format(code=2),
              typed=f"{BESIDE}{EXPECT.replace('build.corp', 'printer.lan')}{OTHER_RESOLVER};"
              "echo nameserver 192.168.77.1 >> /etc/resolv.conf", **AT_53),
    on_a_host("name-of-the-hosts-file", DNS, "build.corp is 192.168.77.7 to this host's own programs, by /etc/hosts, "
              "and NXDOMAIN to its guests", "run a resolver here that reads it", words=NAMES,
              lan_program=ANSWERS_ALL.format(code=3), at_lan=AT_53["at_lan"],
              typed=f"{BESIDE}{EXPECT}echo 192.168.77.7 build.corp >> /etc/hosts; {OTHER_RESOLVER}",
              mended=f"{LOCAL_RESOLVER}; echo nameserver 127.0.0.1 > /etc/resolv.conf; sleep 1"),
    # F. Who serves DHCP, and where.
    on_a_host("no-server-beside-libvirts", (*LEASE, "bridge/lease-dns"), "no DHCP server answers on the LAN behind br0",
              "LAN's DHCP server", typed=BESIDE, stops_dhcp=True, mended="", as_root=True),
    on_a_host("no-server-beside-one-that-hears-all", LEASE, "no DHCP server answers on the LAN behind br0",
              "LAN's DHCP server", typed=BESIDE.replace(" --bind-interfaces", ""), stops_dhcp=True, mended="",
              as_root=True),
    on_a_host("translated-network-kept-out", LEASE, r"this host serves DHCP itself .*virbr0\) and its own firewall "
              "keeps requests from it: table ip mangle, chain PREROUTING: counter packets .* drop",
              "insert rule ip mangle PREROUTING", typed=f"{LETS_VIRBR0}{TRANSLATED}{MANGLED}", at_lan=OUTSIDE,
              words=IN_VIRBR0, as_root=True),
    on_a_host("old-policy-behind-nat", BEYOND, "iptables-legacy: -P FORWARD DROP, which counted it",
              "iptables-legacy -I FORWARD .* && sudo iptables-legacy -I FORWARD -m conntrack --ctstate ESTABLISHED",
              typed=f"{LETS_VIRBR0}{TRANSLATED}iptables-legacy -P FORWARD DROP", at_lan=OUTSIDE, words=IN_VIRBR0,
              as_root=True),
    on_a_host("policy-behind-nat", BEYOND, "table ip closed, chain forward: .*policy drop",
              "nft add rule ip closed forward .* && sudo nft add rule ip closed forward ct state established accept",
              typed=f"{LETS_VIRBR0}{TRANSLATED}nft 'table ip closed {{ chain forward {{ type filter hook forward "
              "priority 1; policy drop; }; }'", at_lan=OUTSIDE, words=IN_VIRBR0, as_root=True),
    *ROUTED,
    # G. The host among the others.
    on_a_host("lease-of-the-hosts-own-address", (*LEASE, "bridge/reachable-ping"), r"guest was leased 192\.168\.77\.2,"
              r" which is this host's own address on br0: the DHCP server 192\.168\.77\.1 has it",
              r"take 192\.168\.77\.2 out of the range", typed=BESIDE, mended="",
              dhcp_options="--dhcp-range=192.168.77.2,192.168.77.2,1h"),
    on_a_host("host-not-admitted", TCP_TO_THE_LAN, "behind up0 admits no other MAC address than up0's own, .* answers "
              "ARP asked from that address, and does not from 02:00:00:00:00:99, which br0 has given this host",
              "ip link set br0 address 02:00:00:00:00:05", as_root=True, words=PEER,
              typed=f"{BESIDE}ip link set up0 address 02:00:00:00:00:05; ip link set br0 address 02:00:00:00:00:99",
              at_lan="nft 'table netdev switch { chain of_one { type filter hook ingress device lan0 priority 0; "
              "ether saddr != 02:00:00:00:00:05 drop; }; }'"),
    # I. Clients less patient than ours.
    on_a_host("localhost-by-ipv6-alone", ("user/hostfwd-ssh-2222",), "localhost is ::1 on this host, so says "
              "/etc/hosts, and QEMU forwards ports of IPv4 alone",
              r"echo '127\.0\.0\.1 localhost' \| sudo tee -a /etc/hosts",
              typed=f"{BESIDE}echo ::1 localhost > /etc/hosts",
              mended="echo 127.0.0.1 localhost $(hostname) > /etc/hosts"),
    # J. Not IPv4, not a bridge of the kernel's.
    on_a_host("addresses-by-ipv6-alone", DNS, "no default route of IPv4, and fd00:50::1 is asked by IPv6",
              "have guests ask fd00:50::1, or fec0::3", typed=f"{BESIDE}ip addr flush dev br0; "
              "ip addr add fd00:50::2/64 dev br0 nodad; ip -6 route add default via fd00:50::1;"
              "echo nameserver fd00:50::1 > /etc/resolv.conf",
              mended="ip addr add 192.168.77.2/24 dev br0; echo nameserver 192.168.77.1 > /etc/resolv.conf"),
)  # fmt: skip
