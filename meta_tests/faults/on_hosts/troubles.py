"""Troubles of public reports and their kind, each beside a distribution's firewall and libvirt's network.

The letters are those of docs/troubles.md. What stands beside is innocent, and must not be blamed.
"""

from meta_tests.faults.on_hosts.typed import LEASE, PEER, on_a_host

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
FAULTS = (
    # A. What is blamed has acted.
    on_a_host("dns-dropped-beside-a-firewall", DNS, "DNS question .* seen at the guest's NIC and not at br0: .*where "
              "this stands: table inet filter, chain output: udp dport 53 drop", r"insert rule inet filter output",
              typed=f"{BESIDE}nft add rule inet filter output udp dport 53 drop", as_root=True),
    on_a_host("kill-switch", DNS, "where this stands: table inet killswitch, chain output: udp dport 53 reject",
              "insert rule inet killswitch output", typed=BESIDE + KILL_SWITCH, as_root=True),
    on_a_host("kill-switch-to-the-lan", TCP_TO_THE_LAN, "this stands: table inet killswitch, chain output: reject",
              "insert rule inet killswitch output", typed=BESIDE + KILL_SWITCH, as_root=True, words=PEER),
    on_a_host("dropped-in-a-chain-of-a-chain", LEASE, "table bridge zones, chain closed: udp dport 67 .*drop",
              "insert rule bridge zones closed", typed=BESIDE + IN_CHAINS, as_root=True),
)  # fmt: skip
