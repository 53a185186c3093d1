"""Faults of a host from which guests in user mode suffer: they share its routes, its resolver and its ports."""

import sys

from meta_tests.faults.on_hosts.typed import PEER, filtering, on_a_host

DNS = ("user/dns-resolves",)
TCP_TO_THE_LAN, TCP_OUTSIDE = ("user/reach-lan-tcp",), ("user/reach-outside-tcp",)
OUTSIDE = ("--peer", "203.0.113.9:7007")
#: Answers come in at br0, and this host would answer by another way.
TWO_WAYS = """
ip link add odd0 type veth peer name odd1; ip link set odd0 up; ip link set odd1 up
echo 1 > /proc/sys/net/ipv4/conf/all/rp_filter; echo 1 > /proc/sys/net/ipv4/conf/br0/rp_filter
ip route add 192.168.77.1/32 dev odd0
ip route add 192.168.77.1 dev br0 src 192.168.77.2 table 100
ip rule add uidrange 65534-65534 to 192.168.77.1 lookup 100
"""

#: A program that has the port of the post's own forward.
LISTENER = (
    "import os, signal, socket; open('/dev/shm/listener', 'w').write(str(os.getpid())); "
    "s = socket.create_server(('', 2222)); signal.pause()"
)

FAULTS = (
    on_a_host("resolver-dead", ("user/dns-resolves",), r"the resolver 192\.168\.77\.77, .* does not answer",
              typed="sed -i '1i nameserver 192.168.77.77' /etc/resolv.conf", mended="sed -i 1d /etc/resolv.conf",
              kind="the resolver is dead"),
    on_a_host("resolver-of-ipv6-only", ("user/dns-resolves",), "names no IPv4 nameserver",
              typed="echo nameserver ::1 > /etc/resolv.conf", mended="echo nameserver 192.168.77.1 > /etc/resolv.conf",
              kind="no IPv4 resolver"),
    on_a_host("host-firewall-keeps-dns-in", ("user/dns-resolves",), "table inet wall, chain guard: udp dport 53 drop",
              typed=filtering("inet", "output", "udp dport 53 drop"), as_root=True, kind="a firewall drops packets"),
    on_a_host("host-firewall-keeps-tcp-in", ("user/reach-lan-tcp",), "table inet wall, chain guard: tcp dport 7007",
              typed=filtering("inet", "output", "tcp dport 7007 drop"), as_root=True, words=PEER,
              kind="a firewall drops packets"),
    on_a_host("port-taken", ("user/hostfwd-ssh-2222",), "port 2222 is taken",
              typed=f"(exec setsid {sys.executable} -c \"{LISTENER}\" >/dev/null 2>&1 </dev/null &); sleep 1",
              mended="kill $(cat /dev/shm/listener)", kind="a forwarded port is taken"),
    on_a_host("resolver-file-missing", DNS, "names no IPv4 nameserver", typed="rm /etc/resolv.conf",
              mended="echo nameserver 192.168.77.1 > /etc/resolv.conf", kind="no IPv4 resolver"),
    on_a_host("resolver-behind-a-blank", DNS, "names no IPv4 nameserver",
              typed="echo ' nameserver 192.168.77.1' > /etc/resolv.conf",
              mended="echo nameserver 192.168.77.1 >> /etc/resolv.conf", kind="the resolver is dead"),
    on_a_host("port-privileged", ("user/hostfwd-ssh-2222",), "port 2222 is below 3000, where only root may listen",
              typed="echo 3000 > /proc/sys/net/ipv4/ip_unprivileged_port_start",
              mended="echo 1024 > /proc/sys/net/ipv4/ip_unprivileged_port_start",
              kind="a forwarded port is privileged"),
    on_a_host("lan-is-what-guests-get", TCP_TO_THE_LAN, r"10\.0\.2\.77 is in 10\.0\.2\.0/24, which is what user mode",
              typed="ip addr add 10.0.2.78/24 dev br0", at_lan="ip addr add 10.0.2.77/24 dev lan0",
              words=("--peer", "10.0.2.77:7007"), remedy="net=10.0.3.0/24", kind="networks overlap",
              # The claim's guests have the documented network: so it is the LAN that gets another.
              mended="ip addr del 10.0.2.78/24 dev br0; sleep 0.1", mended_words=PEER),
    on_a_host("address-on-the-port-of-the-host", TCP_TO_THE_LAN, "up0 .*still has this host's address and routes",
              typed="ip addr flush dev br0; ip addr add 192.168.77.2/24 dev up0", words=PEER,
              kind="the address is on the port",
              remedy="move address and routes from up0 to br0",
              mended="ip addr flush dev up0; ip addr add 192.168.77.2/24 dev br0"),
    on_a_host("strict-reverse-path", TCP_TO_THE_LAN, r"filter drops what 192\.168\.77\.1 answers: .* at br0",
              typed=TWO_WAYS, words=PEER, remedy="rp_filter=2", kind="a routed tap without a way out"),
    on_a_host("no-default-route", TCP_OUTSIDE, r"sends nothing to 203\.0\.113\.9 \(Network is unreachable\)",
              typed="ip route del default", at_lan="ip addr add 203.0.113.9/32 dev lo", words=OUTSIDE,
              remedy="ip route add default via", mended="ip route add default via 192.168.77.1"),
    on_a_host("machine-of-the-lan-is-off", TCP_TO_THE_LAN, r"nobody on br0 answers ARP for 192\.168\.77\.7",
              words=("--peer", "192.168.77.7:7007"), remedy="see whether 192.168.77.7 is there", mended="",
              mended_at_lan="ip addr add 192.168.77.7/32 dev lo"),
    on_a_host("firewall-of-the-lan", TCP_TO_THE_LAN, "though 192.168.77.1 is there and answers ARP: a firewall",
              at_lan=filtering("ip", "input", "tcp dport 7007 drop"), words=PEER, remedy="nft list ruleset", mended="",
              mended_at_lan="nft delete table ip wall", kind="a firewall drops packets"),
)  # fmt: skip
