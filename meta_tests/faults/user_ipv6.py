"""Faults of what user networking tells by IPv6: advertisements, neighbours, DHCPv6, and options."""

import importlib
import re
from typing import TYPE_CHECKING

from meta_tests.faults.fault import fault
from meta_tests.faults.frames import FROM_QEMU, TO_QEMU, FrameShim
from meta_tests.faults.wrapper import alter_netdev, set_user_option
from qemunet_tests.guest.bench import Bench
from qemunet_tests.guest.guest import Guest
from qemunet_tests.modes.user import UserNetdev
from qemunet_tests.network import Lab, private_etc

if TYPE_CHECKING:
    from scapy.packet import Packet

#: Claims of the topic that are about neighbours, advertisements, DHCPv6.
NEIGHBOURS, ADVERTISEMENTS = ("user/ip6-neighbours",), ("user/ip6-ra-fields", "user/ip6-rdnss")
DHCPV6 = ("user/ip6-dhcpv6-stateless", "user/ip6-dhcpv6-information")
ADVERTISEMENT, NEIGHBOUR = {"ICMPv6ND_RA.type": 134}, {"ICMPv6ND_NA.type": 136}


def know_dhcpv6() -> None:
    """Have fields of DHCPv6 by their names in frames: scapy takes a packet apart with what was imported."""
    importlib.import_module("scapy.layers.dhcp6")


@fault("user/ip6-prefix", cause="the guest has made itself no address", sentinels=(*ADVERTISEMENTS, "user/address"))
def advertisements_not_accepted(guest: Guest, bench: Bench) -> None:
    """The guest's kernel is set to take no router's word."""
    if isinstance(guest.nics[0].netdev, UserNetdev):
        guest.check("echo 0 >/proc/sys/net/ipv6/conf/eth0/accept_ra")


@fault("user/ip6-solicited-at-once", cause="upon 0, 1 and 3 solicitations: 0 2 6",
       sentinels=(*NEIGHBOURS, *ADVERTISEMENTS))  # fmt: skip
def advertised_twice(wire: FrameShim) -> None:
    """Every advertisement comes twice."""
    wire.invent(FROM_QEMU, ADVERTISEMENT, lambda frame: frame)


@fault("user/ip6-ra-fields", cause="hop limit 64, flags 128,", sentinels=(*NEIGHBOURS, *DHCPV6, "user/ip6-rdnss"),
       core=True)  # fmt: skip
def managed_addresses_advertised(wire: FrameShim) -> None:
    """The router says that addresses are to be had by DHCPv6."""
    wire.alter(FROM_QEMU, ADVERTISEMENT, {"ICMPv6ND_RA.M": 1})


@fault("user/ip6-net-option", cause="prefix fec0::/64", sentinels=(*NEIGHBOURS, *ADVERTISEMENTS))
def prefix_option_left_out(lab: Lab) -> None:
    """A management tool knows no `ipv6-net=`."""
    set_user_option(lab, "ipv6-net", None)


@fault("user/ip6-net-bad", cause="ipv6-(net|host|dns)=.*: QEMU starts", sentinels=(*NEIGHBOURS, *ADVERTISEMENTS))
def ipv6_options_swallowed(lab: Lab) -> None:
    """A wrapper in QEMU's place leaves out what it knows nothing of."""
    alter_netdev(lab, lambda word: re.sub(r",ipv6-[^,]*", "", word), everywhere=True)


@fault("user/ip6-net-zero", cause="prefix fec0::/48", sentinels=(*NEIGHBOURS, *ADVERTISEMENTS))
def length_made_up(lab: Lab) -> None:
    """A management tool puts a length of its own in the place of none."""
    alter_netdev(lab, lambda word: word.replace("fec0::/0", "fec0::/48"), everywhere=True)


@fault(
    "user/ip6-neighbours", cause="fec0::2 fec0::3 fec0::5 fe80::2 fe80::3 answer", sentinels=(*ADVERTISEMENTS, *DHCPV6)
)
def one_neighbour_more(wire: FrameShim) -> None:
    """Somebody else answers on the guest's link."""

    def answer(frame: "Packet") -> "Packet":
        from scapy.layers.inet6 import ICMPv6ND_NA, ICMPv6NDOptDstLLAddr, IPv6
        from scapy.layers.l2 import Ether

        said = ICMPv6ND_NA(tgt="fec0::5", R=0, S=1, O=1) / ICMPv6NDOptDstLLAddr(lladdr="52:56:00:00:00:05")
        back = Ether(src="52:56:00:00:00:05", dst=frame.src)
        return back / IPv6(src="fec0::5", dst=frame["IPv6"].src, hlim=255) / said

    wire.invent(TO_QEMU, {"ICMPv6ND_NS.tgt": "fec0::5"}, answer, to=FROM_QEMU)


@fault("user/ip6-host-option", cause="fec0::2 fec0::3 answer", sentinels=(*NEIGHBOURS, *ADVERTISEMENTS))
def host_option_left_out(lab: Lab) -> None:
    """A management tool knows no `ipv6-host=`."""
    set_user_option(lab, "ipv6-host", None)


@fault("user/ip6-host-option-router", cause="fe80::2 is advertised; neighbours: none",
       sentinels=(*NEIGHBOURS, *ADVERTISEMENTS))  # fmt: skip
def nobody_at_the_link_address(wire: FrameShim) -> None:
    """Nobody answers for the host's address on the link."""
    wire.drop(FROM_QEMU, {"ICMPv6ND_NA.tgt": "fe80::9"})


@fault("user/ip6-dns-option", cause="neighbours: fec0::2 fec0::3; resolver fec0::3",
       sentinels=(*NEIGHBOURS, *ADVERTISEMENTS, *DHCPV6))  # fmt: skip
def ipv6_dns_option_left_out(lab: Lab) -> None:
    """A management tool knows no `ipv6-dns=`."""
    set_user_option(lab, "ipv6-dns", None)


@fault("user/ip6-rdnss", cause="a resolver by IPv6: none", sentinels=(*NEIGHBOURS, "user/ip6-ra-fields", *DHCPV6))
def ipv6_resolvers_hidden(lab: Lab) -> None:
    """Whoever writes resolv.conf indents the lines of IPv6, and libslirp does not see them."""
    replace = private_etc.replace

    def indenting(name: str, text: str) -> object:
        return replace(name, re.sub(r"^(nameserver .*:)", r" \1", text, flags=re.MULTILINE))

    private_etc.replace = indenting


@fault("user/ip6-rdnss-lifetime", cause="the resolver is advertised for 0 s", sentinels=(*NEIGHBOURS, *ADVERTISEMENTS))
def resolver_for_no_time(wire: FrameShim) -> None:
    """The router takes its resolver back in the same breath."""
    wire.alter(FROM_QEMU, {"ICMPv6NDOptRDNSS.type": 25}, {"ICMPv6NDOptRDNSS.lifetime": 0})


@fault("user/ip6-dhcpv6-information", cause=r"asked for \(23,\) it tells",
       sentinels=("user/ip6-dhcpv6-stateless", *NEIGHBOURS, *ADVERTISEMENTS))  # fmt: skip
def another_resolver_by_dhcpv6(wire: FrameShim) -> None:
    """DHCPv6 tells another resolver."""
    know_dhcpv6()
    wire.alter(FROM_QEMU, {"DHCP6OptDNSServers.optcode": 23}, {"DHCP6OptDNSServers.dnsservers": ["fec0::4"]})


@fault("user/ip6-dhcpv6-server-id", cause="options 1 31", sentinels=("user/ip6-dhcpv6-stateless", *ADVERTISEMENTS))
def resolver_as_another_option(wire: FrameShim) -> None:
    """What DHCPv6 tells of a resolver has another option's number."""
    know_dhcpv6()
    wire.alter(FROM_QEMU, {"DHCP6OptDNSServers.optcode": 23}, {"DHCP6OptDNSServers.optcode": 31})


@fault("user/ip6-dhcpv6-stateless", cause="a SOLICIT is answered by message 2",
       sentinels=("user/ip6-dhcpv6-information", *ADVERTISEMENTS))  # fmt: skip
def addresses_by_dhcpv6(wire: FrameShim) -> None:
    """A server offers addresses by DHCPv6."""
    know_dhcpv6()

    def advertise(frame: "Packet") -> "Packet":
        from scapy.layers.dhcp6 import DHCP6_Advertise
        from scapy.layers.inet import UDP
        from scapy.layers.inet6 import IPv6
        from scapy.layers.l2 import Ether

        back = Ether(src="52:56:00:00:00:02", dst=frame.src) / IPv6(src="fec0::2", dst=frame["IPv6"].src)
        return back / UDP(sport=547, dport=546) / DHCP6_Advertise(trid=frame["DHCP6_Solicit"].trid)

    wire.invent(TO_QEMU, {"DHCP6_Solicit.msgtype": 1}, advertise, to=FROM_QEMU)


@fault("user/ip6-dhcpv6-port", cause="answered from port 1547", sentinels=(*DHCPV6, *ADVERTISEMENTS))
def dhcpv6_from_another_port(wire: FrameShim) -> None:
    """DHCPv6 answers from a port that is neither its own nor that with its bytes swapped."""
    wire.alter(FROM_QEMU, {"UDP.dport": 546}, {"UDP.sport": 1547})


@fault("user/ip6-boot-url-empty", cause=r"/\(none\) is offered", sentinels=(*DHCPV6, *ADVERTISEMENTS))
def another_word_for_no_name(wire: FrameShim) -> None:
    """The boot file that is none has another name."""
    know_dhcpv6()
    wire.alter(
        FROM_QEMU,
        {"DHCP6OptBootFileUrl.optcode": 59},
        {"DHCP6OptBootFileUrl.optdata": lambda url: url.replace(b"(null)", b"(none)")},
    )
