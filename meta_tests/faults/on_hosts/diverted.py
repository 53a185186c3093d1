"""Packets that a packet filter marks, queues or gives another source, and that are lost by that."""

from meta_tests.faults.on_hosts.troubles import (
    BESIDE,
    BEYOND,
    LETS_VIRBR0,
    PASSED_ON,
    TCP_TO_THE_LAN,
    TRANSLATED,
)
from meta_tests.faults.on_hosts.tunnelled import BEYOND_BY_TCP, TUNNEL, WITHOUT
from meta_tests.faults.on_hosts.typed import PEER, on_a_host

BY_MARK = f"""{TUNNEL}ip route add default via 10.8.0.1 dev tun0 table 100; ip rule add pref 100 fwmark 0x1 lookup 100
"""
MARKED = (
    "leaves by tun0 and not by br0: the packet filter marks it, and so says the rule 100: from all fwmark 0x1 lookup"
)
AT_OUTPUT = "nft 'table ip split {{ chain output {{ type route hook output priority mangle; {} meta mark set 1; }}; }}'"
OLD_ADDRESS = "with 192.168.77.44 as its source, which this host does not have .by table ip {}, chain {}: .*snat to"

FAULTS = (
    # As VPNs do that take some programs' packets alone.
    on_a_host("marked-into-a-dead-vpn", TCP_TO_THE_LAN, MARKED, "^sudo ip rule add pref 99 to 192.168.77.1 lookup ",
              typed=BESIDE + BY_MARK + AT_OUTPUT.format("tcp dport 7007"), words=PEER, as_root=True),
    on_a_host("marked-into-a-dead-vpn-seen-by-a-user", TCP_TO_THE_LAN, MARKED, "^sudo ip rule add pref 99 to 192.168.",
              typed=BESIDE + BY_MARK + AT_OUTPUT.format("tcp dport 7007"), words=PEER),
    on_a_host("qemus-user-marked-into-a-dead-vpn", BEYOND_BY_TCP, MARKED,
              "^sudo ip rule add pref 99 to 198.51.100.1 lookup main;", as_root=True,
              typed=f"{BESIDE}{BY_MARK}iptables-nft -t mangle -A OUTPUT -m owner --uid-owner 65534 -j MARK "
              "--set-mark 1",
              **WITHOUT),
    on_a_host("guests-of-nat-marked-into-a-dead-vpn", BEYOND, f"what comes in at virbr0 for 198.51.100.1 {MARKED}",
              "^sudo ip rule add pref 99 to 198.51.100.1 lookup main;",
              typed=f"{LETS_VIRBR0}{TRANSLATED}{BY_MARK}iptables-nft -t mangle -A PREROUTING -i virbr0 -j MARK "
              "--set-mark 1",
              **PASSED_ON),
    # An address that this host had, and that its rules have still.
    on_a_host("translated-to-an-old-address", BEYOND, OLD_ADDRESS.format("nat", "POSTROUTING"),
              "^sudo nft insert rule ip nat POSTROUTING position .* masquerade;",
              typed=LETS_VIRBR0 + TRANSLATED.replace("masquerade", "snat to 192.168.77.44"), **PASSED_ON),
    on_a_host("sent-with-an-old-address", TCP_TO_THE_LAN, OLD_ADDRESS.format("old", "post"),
              "^sudo nft insert rule ip old post position .* masquerade;", words=PEER, as_root=True,
              typed=f"{BESIDE}nft 'table ip old {{ chain post {{ type nat hook postrouting priority 100; oifname br0 "
              "snat to 192.168.77.44; }; }'"),
    # As an IPS leaves it that is stopped.
    on_a_host("queued-for-nobody", TCP_TO_THE_LAN, "table ip filter, chain OUTPUT: .* queue num 0, and no program "
              "takes what is queued there", "^sudo nft insert rule ip filter OUTPUT position .* accept", words=PEER,
              typed=f"{BESIDE}iptables-nft -A OUTPUT -p tcp --dport 7007 -j NFQUEUE --queue-num 0", as_root=True),
)  # fmt: skip
