"""Faults of the network that `-netdev user` makes: who answers in it, and options that QEMU is started with."""

from typing import TYPE_CHECKING

from meta_tests.faults.fault import fault
from meta_tests.faults.frames import FROM_QEMU, TO_QEMU, FrameShim
from meta_tests.faults.wrapper import alter_netdev, set_user_option
from qemunet_tests.network import Lab

if TYPE_CHECKING:
    from scapy.packet import Packet

ARP_REQUESTS, ARP_REPLIES = {"ARP.op": 1}, {"ARP.op": 2}
#: Claims of the topic, with options of their own, that few of its faults touch.
OTHERS = ("user/dhcp-options-exact", "user/arp-mac", "user/static-guest", "user/ipv6-off")
_wires: list[FrameShim] = []


@fault("user/net", "user/net-mask-dotted", "user/net-wide", "user/net-no-mask", "user/net-bad", "user/net-too-small",
       cause=r"10\.0\.2\.15 255\.255\.255\.0, gateway 10\.0\.2\.2|QEMU starts with net=",
       sentinels=(*OTHERS, "user/host-option", "user/dns-option"))  # fmt: skip
def network_left_out(lab: Lab) -> None:
    """A management tool knows no `net=`."""
    set_user_option(lab, "net", None)


@fault("user/net-no-mask", cause=r"become 10\.5\.0\.0: 10\.5\.0\.15 255\.255\.0\.0",
       sentinels=(*OTHERS, "user/net"))  # fmt: skip
def masks_of_16_bits_added(lab: Lab) -> None:
    """A management tool gives networks without a mask one of 16 bits, with everybody where a /24 has them."""
    fixed = "net=10.5.0.0/16,host=10.5.0.2,dns=10.5.0.3,dhcpstart=10.5.0.15"
    alter_netdev(lab, lambda word: word.replace("net=10.5.0.0", fixed), everywhere=True)


@fault("user/host-option", cause=r"gateway 10\.0\.2\.2, |QEMU starts with host=", sentinels=(*OTHERS, "user/net"))
def host_left_out(lab: Lab) -> None:
    """A management tool knows no `host=`."""
    set_user_option(lab, "host", None)


@fault("user/dns-option", "user/dns-outside-network", cause=r"resolver 10\.0\.2\.3; |QEMU starts with dns=",
       sentinels=(*OTHERS, "user/net", "user/host-option"))  # fmt: skip
def resolver_left_out(lab: Lab) -> None:
    """A management tool knows no `dns=`."""
    set_user_option(lab, "dns", None)


@fault("user/arp-own-addresses-only", cause=r"answered for 10\.0\.2\.77 10\.0\.2\.2 10\.0\.2\.3; ",
       sentinels=("user/dhcp-options-exact", "user/static-guest", "user/arp-mac"))  # fmt: skip
def somebody_at_another_address(wire: FrameShim) -> None:
    """Somebody answers ARP for an address that nobody has."""

    def reply(asked: "Packet") -> "Packet":
        question = asked["ARP"]
        question.op, question.hwsrc, question.hwdst = 2, "52:55:0a:00:02:4d", question.hwsrc
        question.psrc, question.pdst = question.pdst, question.psrc
        return asked

    wire.invent(TO_QEMU, {**ARP_REQUESTS, "ARP.pdst": "10.0.2.77"}, reply, to=FROM_QEMU)


@fault("user/arp-own-addresses-only", cause=r"10\.0\.2\.100: 10\.0\.2\.2 10\.0\.2\.3$",
       sentinels=("user/dhcp-options-exact", "user/static-guest", "user/arp-mac"))  # fmt: skip
def forwarded_address_silent(wire: FrameShim) -> None:
    """Nobody answers ARP for what a forward of the guest's is about."""
    wire.drop(FROM_QEMU, {**ARP_REPLIES, "ARP.psrc": "10.0.2.100"})


@fault("user/arp-mac", cause=r"10\.0\.2\.3 at 02:00:00:00:00:03",
       sentinels=("user/dhcp-options-exact", "user/arp-own-addresses-only", "user/ipv4-off"))  # fmt: skip
def resolver_at_another_mac(wire: FrameShim) -> None:
    """The resolver has another hardware address."""
    wire.alter(FROM_QEMU, {**ARP_REPLIES, "ARP.psrc": "10.0.2.3"}, {"ARP.hwsrc": "02:00:00:00:00:03"})


@fault("user/static-guest", cause=r"answered by 10\.0\.2\.2$", sentinels=("user/dhcp-options-exact", "user/arp-mac"))
def resolver_knows_leases_alone(wire: FrameShim) -> None:
    """The resolver answers nobody who has no lease."""
    wire.drop(FROM_QEMU, {"IP.src": "10.0.2.3", "IP.dst": "10.0.2.77"})


@fault("user/guests-do-not-meet", cause="broadcast ARP unicast broadcast ARP unicast of the other's",
       sentinels=("user/hostname", "user/arp-mac", "user/static-guest"))  # fmt: skip
def guests_on_one_hub(wire: FrameShim) -> None:
    """What one guest sends comes to the guest that was started before it, and the other way round."""
    for before in _wires[-1:]:
        wire.heard_by(before)
        before.heard_by(wire)
    _wires.append(wire)


@fault("user/ipv4-off", "user/both-off", cause="ipv4=off: ARP DHCP neighbour router; |QEMU starts with",
       sentinels=(*OTHERS, "user/net"))  # fmt: skip
def ipv4_left_on(lab: Lab) -> None:
    """A management tool knows no `ipv4=`, and does not switch IPv6 on."""
    set_user_option(lab, "ipv4", None)


@fault("user/ipv6-off", cause="ipv6=off: ARP DHCP neighbour router; ",
       sentinels=("user/dhcp-options-exact", "user/ipv4-off", "user/net"))  # fmt: skip
def ipv6_left_on(lab: Lab) -> None:
    """A management tool knows no `ipv6=`."""
    set_user_option(lab, "ipv6", None)


@fault("user/ipv6-off", "user/ipv4-off", "user/ipv4-on-alone", cause="answered: .*neighbour(;|$)",
       sentinels=("user/dhcp-options-exact", "user/arp-mac", "user/net"))  # fmt: skip
def routers_silent(wire: FrameShim) -> None:
    """Nobody hears a router by IPv6."""
    wire.drop(FROM_QEMU, lambda frame: "ICMPv6ND_RA" in frame)


@fault("user/mtu-1500", cause="MSS 1400; 3000 bytes come back whole", sentinels=("user/static-guest", "user/arp-mac"))
def segments_smaller(wire: FrameShim) -> None:
    """Connections are told smaller segments."""
    wire.alter(FROM_QEMU, {"TCP.flags": "SA"}, {"TCP.options": [("MSS", 1400)]})


@fault("user/mtu-1500", cause="MSS 1460; 3000 bytes come back lost", sentinels=("user/static-guest", "user/arp-mac"))
def later_fragments_lost(wire: FrameShim) -> None:
    """Of what comes in fragments only the first gets through."""
    wire.drop(FROM_QEMU, {"IP.frag": bool})
