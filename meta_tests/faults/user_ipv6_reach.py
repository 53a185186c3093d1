"""Faults of how far user networking reaches by IPv6."""

from typing import TYPE_CHECKING

from meta_tests.faults.fault import fault
from meta_tests.faults.frames import FROM_QEMU, TO_QEMU, FrameShim
from meta_tests.faults.user import filter_packets
from meta_tests.faults.wrapper import alter_netdev, set_user_option
from qemunet_tests.isolation.station import Station
from qemunet_tests.network import Lab, lab_addresses

if TYPE_CHECKING:
    from scapy.packet import Packet

NEAR = ("user/ip6-gateway-is-host-loopback", "user/ip6-neighbours", "user/ip6-dns")
FAR = ("user/ip6-tcp-out", "user/ip6-udp-out")


def _filter(station: Station, hook: str, rule: str) -> None:
    filter_packets(station, f"chain on {{ type filter hook {hook} priority 0; {rule}; }};")


@fault("user/ip6-gateway-is-host-loopback", cause="::1: TCP: connection refused; UDP: whole",
       sentinels=("user/ip6-neighbours", "user/ip6-dns", *FAR))  # fmt: skip
def loopback_closed_by_ipv6(lab: Lab) -> None:
    """The host's firewall rejects connections to a service on its loopback."""
    _filter(lab.host, "input", f"ip6 daddr ::1 tcp dport {lab_addresses.LOOPBACK_PORT} reject with tcp reset")


@fault("user/ip6-whole-prefix-is-host", cause="fec0::77: TCP: no answer; UDP: whole", sentinels=(*NEAR, *FAR))
def streams_to_others_dropped(wire: FrameShim) -> None:
    """Nothing comes of connections to an address that nobody has, and datagrams get there."""
    wire.drop(TO_QEMU, {"IPv6.dst": "fec0::77", "TCP.dport": lab_addresses.LOOPBACK_PORT})


@fault("user/ip6-dns", cause="www.example by UDP: code 5", sentinels=("user/ip6-neighbours", "user/dns-tcp", *FAR))
def names_refused_by_ipv6(wire: FrameShim) -> None:
    """Answers by IPv6 say that the question is refused."""
    wire.alter(FROM_QEMU, {"IPv6.src": "fec0::3", "UDP.sport": 53, "DNS.qr": 1}, {"DNS.rcode": 5})


@fault("user/ip6-tcp-out", "user/ip6-udp-out", cause=r"2001:db8:1::10: whole; 2001:db8:2::10: (no answer|unreach|conn)",
       sentinels=NEAR)  # fmt: skip
def ipv6_not_forwarded(lab: Lab) -> None:
    """The router forwards nothing by IPv6."""
    lab.router.set_sysctl("net.ipv6.conf.all.forwarding", "0")


@fault("user/ip6-udp-out", "user/ip6-traceroute", cause=r"(closed port: no answer|2001:db8:1::fe; \*)",
       sentinels=(*NEAR, "user/ip6-tcp-out"))  # fmt: skip
def closed_ports_untold_by_ipv6(lab: Lab) -> None:
    """The router lets no report of a closed port pass."""
    _filter(lab.router, "forward", "icmpv6 type destination-unreachable drop")


@fault("user/ip6-big-answer", cause="the large answer does not arrive", sentinels=(*NEAR, *FAR))
def jumbo_frames_dropped(wire: FrameShim) -> None:
    """The guest's NIC takes no frame that is longer than an Ethernet's."""
    wire.drop(FROM_QEMU, lambda frame: len(frame) > 1514)


@fault("user/ip6-fragments", cause=r"arrived: \[4, 2\]", sentinels=(*NEAR, *FAR))
def half_a_datagram(wire: FrameShim) -> None:
    """Of a datagram in fragments something arrives, and not the whole."""

    def half(frame: "Packet") -> "Packet":
        from scapy.layers.inet import UDP
        from scapy.layers.inet6 import IPv6
        from scapy.layers.l2 import Ether
        from scapy.packet import Raw

        packet, ports = frame["IPv6"], bytes(frame["IPv6"])[48:52]
        ends = UDP(sport=int.from_bytes(ports[:2]), dport=int.from_bytes(ports[2:]))
        return Ether(src=frame.src, dst=frame.dst) / IPv6(src=packet.src, dst=packet.dst) / ends / Raw(b"half")

    wire.invent(TO_QEMU, {"IPv6ExtHdrFragment.offset": 0}, half)


@fault("user/ip6-ping-gateway", cause="fec0::3 answers with something else", sentinels=(*NEAR, *FAR))
def resolver_echoes_otherwise_by_ipv6(wire: FrameShim) -> None:
    """The resolver's echo replies by IPv6 have another number than the requests."""
    wire.alter(FROM_QEMU, {"IPv6.src": "fec0::3", "ICMPv6EchoReply.type": 129}, {"ICMPv6EchoReply.seq": 99})


@fault("user/ip6-ping-outside-raw", cause="no answer", sentinels=(*NEAR, *FAR))
def echo_replies_from_outside_lost(wire: FrameShim) -> None:
    """Nothing that calls itself an echo reply from outside gets to the guest by IPv6."""
    wire.drop(FROM_QEMU, {"IPv6.src": lab_addresses.OUTSIDE_IPV6, "ICMPv6EchoReply.type": 129})


@fault("user/ip6-ping-outside-open", cause="no answer", sentinels=(*NEAR, *FAR))
def outside_ignores_ping_by_ipv6(lab: Lab) -> None:
    """The machine outside answers no echo requests by IPv6."""
    lab.outside.set_sysctl("net.ipv6.icmp.echo_ignore_all", "1")


@fault("user/ip6-traceroute", cause=r"from fe80::2; \*; unreachable", sentinels=(*NEAR, *FAR))
def expiry_untold_by_ipv6(lab: Lab) -> None:
    """The router does not say when a packet's time is over."""
    _filter(lab.router, "output", "icmpv6 type time-exceeded drop")


@fault("user/ip6-hostfwd", cause=r"Invalid host forwarding rule .*\(Bad host port", sentinels=(*NEAR, *FAR))
def forward_mangled(lab: Lab) -> None:
    """A management tool takes the first colon for the end of the address."""
    alter_netdev(lab, lambda word: word.replace("hostfwd=tcp:[::1]:", "hostfwd=tcp::::1]:"), everywhere=True)


@fault("user/ip6-tftp", cause="21 bytes from fec0::2 port 69", sentinels=(*NEAR, *FAR))
def tftp_option_left_out(lab: Lab) -> None:
    """A management tool knows no `tftp=`."""
    set_user_option(lab, "tftp", None)


@fault("user/ip6-restrict", cause="TCP outside: .*by UDP: [1-9][0-9]* answers", sentinels=(*NEAR, *FAR))
def isolation_left_out(lab: Lab) -> None:
    """A management tool knows no `restrict=`."""
    set_user_option(lab, "restrict", None)
