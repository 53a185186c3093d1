"""Firewalls as managers of networks write them, whom nobody has told of these guests."""

from meta_tests.faults.on_hosts.troubles import BESIDE, IN_VIRBR0, OUTSIDE, TRANSLATED
from meta_tests.faults.on_hosts.typed import LEASE, on_a_host

#: As `ufw enable` leaves it, which nobody told of guests.
UFW = """
for chain in before-input user-input after-input not-local; do iptables-nft -N ufw-$chain; done
for chain in before-input user-input after-input; do iptables-nft -A INPUT -j ufw-$chain; done
before() { iptables-nft -A ufw-before-input "$@"; }
before -i lo -j ACCEPT
before -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
before -m conntrack --ctstate INVALID -j DROP
before -p icmp --icmp-type echo-request -j ACCEPT
before -p udp --sport 67 --dport 68 -j ACCEPT
before -j ufw-not-local
for type in LOCAL MULTICAST BROADCAST; do iptables-nft -A ufw-not-local -m addrtype --dst-type $type -j RETURN; done
iptables-nft -A ufw-not-local -m limit --limit 3/min --limit-burst 10 -j LOG
iptables-nft -A ufw-not-local -j DROP
iptables-nft -A ufw-after-input -p udp --dport 137 -j RETURN
iptables-nft -P INPUT DROP
"""
FAULTS = (
    on_a_host("ufw-keeps-requests-from-libvirts-server", LEASE, "this host serves DHCP itself .* own firewall keeps "
              "requests from it: table ip filter, chain INPUT: type filter hook input .*policy drop",
              "^sudo nft add rule ip filter INPUT .* udp dport 67 accept; ufw owns table ip filter", at_lan=OUTSIDE,
              typed=TRANSLATED + UFW, words=IN_VIRBR0, as_root=True),
    # As a guard against forged addresses, which knows guests by the makers of their cards.
    on_a_host("frames-of-other-macs-dropped", LEASE, "seen at tap0 and not at up0: .* where this stands: table "
              r"bridge guard, chain first: iifname .tap\*. ether saddr & ff:ff:ff:00:00:00 != 52:54:00:00:00:00 drop",
              "^sudo nft insert rule bridge guard first position .* accept", as_root=True,
              typed=f"{BESIDE}nft 'table bridge guard {{ chain first {{ type filter hook prerouting priority -300; "
              "iifname \"tap*\" ether saddr & ff:ff:ff:00:00:00 != 52:54:00:00:00:00 drop; }; }'"),
)  # fmt: skip
