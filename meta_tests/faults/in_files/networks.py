"""Hosts whose routes, resolver or ports do not suit guests in user mode."""

import errno
from dataclasses import replace

from meta_tests.faults.in_files import of_files
from meta_tests.samples.healthy_host import Change, routes
from qemunet_tests.host.ports import LocalPort, PortOwner
from qemunet_tests.host.resolver_query import ResolverState

BR0 = ("br0 00000000 FD01A8C0 00000000", "br0 0001A8C0 00000000 00FFFFFF")


def resolver(outcome: ResolverState) -> Change:
    return lambda facts: replace(facts, liveliness=outcome)


FAULTS = (
    of_files("nobody listens where the resolver should", "dns", "caution",
             "to 127.0.0.53, and nobody listens there: guests cannot resolve names",
             "start the resolver at 127.0.0.53, or put one that works into /etc/resolv.conf",
             files={"/etc/resolv.conf": "nameserver 127.0.0.53\n"}, change=resolver(ResolverState("closed"))),
    of_files("the first resolver is dead", "dns", "caution",
             "to 127.0.0.53, never 9.9.9.9, and it does not answer within 0.5 s",
             "put another first in /etc/resolv.conf",
             files={"/etc/resolv.conf": "nameserver 127.0.0.53\nnameserver 9.9.9.9\n"},
             change=resolver(ResolverState("silent", "within 0.5 s"))),
    of_files("no way to the resolver", "dns", "caution", "and it cannot be reached (Network is unreachable)",
             "192.168.1.254", change=resolver(ResolverState("no route", "Network is unreachable"))),
    of_files("UDP port taken", "other-ports", "caution", "UDP port 2222 is taken by a process of bob",
             "sudo ss -lunp sport = :2222", change=lambda facts: replace(facts, other_ports=(LocalPort(2222,
             errno.EADDRINUSE, PortOwner(None, None, "bob"), protocol="udp"),))),
    of_files("the guests' network is the LAN", "subnet", "caution", "a route to 10.0.2.0/24 by br0 meets 10.0.2.0/24",
             "-netdev user,id=net0,net=10.0.3.0/24", files={"/proc/net/route": routes(*BR0,
             "br0 0002000A 00000000 00FFFFFF")}),
    of_files("the guests' network is the VPN's", "subnet", "caution",
             "a route to 10.0.0.0/8 by tun0 meets 10.0.2.0/24", "net=172.30.2.0/24",
             files={"/proc/net/route": routes(*BR0, "tun0 0000000A 00000000 000000FF")}),
    of_files("no network is free", "subnet", "caution", "by tun0 meets", "net= with a network that nothing here uses",
             files={"/proc/net/route": routes(BR0[0], *(f"tun0 {network} 00000000 {mask}" for network,
             mask in (("0000000A", "000000FF"), ("000010AC", "0000F0FF"), ("0000A8C0", "0000FFFF"))))}),
    of_files("no default route", "route", "caution", "there is no default route", "sudo ip route add default via",
             files={"/proc/net/route": routes(BR0[1])}),
    of_files("two ways and a strict filter", "reverse-path", "caution",
             "default routes by br0 and wlan0, and br0 filters strictly",
             "sudo sysctl -w net.ipv4.conf.br0.rp_filter=2", files={"/proc/net/route": routes(*BR0,
             "wlan0 00000000 FE02A8C0 00000000"), "/proc/sys/net/ipv4/conf/all/rp_filter": "0\n",
             "/proc/sys/net/ipv4/conf/br0/rp_filter": "1\n"}),
    of_files("too many connections", "conntrack", "caution", "tracks 65000 of at most 65536 connections",
             "nf_conntrack_max=262144", change=lambda facts: replace(facts, tracked=(65000, 65536)),
             kind="a kernel's table is full"),
)  # fmt: skip
