"""Faults of names in user networking: the host's resolv.conf, its resolvers, and frames of DNS."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from meta_tests.faults.fault import fault
from meta_tests.faults.frames import FROM_QEMU, FrameShim
from meta_tests.faults.user import filter_packets
from meta_tests.faults.wrapper import set_user_option
from qemunet_tests.network import Lab, lab_addresses, private_etc

if TYPE_CHECKING:
    from scapy.packet import Packet

#: What libslirp says where it has no resolver, and what a host says where nobody listens.
NETWORK_UNREACHABLE, PORT_UNREACHABLE = {"ICMP.type": 3, "ICMP.code": 0}, {"ICMP.type": 3, "ICMP.code": 3}
NAMES = ("user/dns-tcp", "user/dns-first-resolver")


def _rewriting(change: Callable[[str], str]) -> None:
    """Have something else write the host's resolv.conf."""
    replace = private_etc.replace
    private_etc.replace = lambda name, text: replace(name, change(text) if name == "resolv.conf" else text)


@fault("user/dns-tcp", cause=r"by TCP the guest is told code 5 .* of www\.example, and the host 203\.0\.113\.10",
       sentinels=("user/dns-first-resolver", "user/dns-option-redirects", "user/icmp-resolver"))  # fmt: skip
def names_refused_by_tcp(wire: FrameShim) -> None:
    """Answers by TCP say that the question is refused."""
    wire.alter(FROM_QEMU, {"TCP.sport": 53, "DNS.qr": 1}, {"DNS.rcode": 5})


@fault("user/dns-first-resolver", cause="the first in the file: router asked by",
       sentinels=("user/dns-tcp", "user/dns-no-resolver"))  # fmt: skip
def resolvers_in_another_order(lab: Lab) -> None:
    """A network manager writes resolv.conf with its own resolver first."""
    own = f"nameserver {lab_addresses.ROUTER}\n"
    _rewriting(lambda text: own + text.replace(own, ""))


@fault("user/dns-no-second", cause="no answer; asked: nobody", sentinels=(*NAMES, "user/dns-no-resolver"))
def closed_ports_not_told(wire: FrameShim) -> None:
    """What the host tells of closed ports does not come through."""
    wire.drop(FROM_QEMU, PORT_UNREACHABLE)


@fault("user/dns-file-changes", cause="not the new resolver: router",
       sentinels=(*NAMES, "user/dns-local-stub"))  # fmt: skip
def changed_file_closed(lab: Lab) -> None:
    """Whoever changes resolv.conf leaves it closed to QEMU's user."""
    replace = private_etc.replace

    def closing(name: str, text: str) -> "object":
        path = replace(name, text)
        if text == f"nameserver {lab_addresses.NEIGHBOUR}\n":
            path.chmod(0)
        return path

    private_etc.replace = closing


@fault("user/dns-local-stub", cause=r"what is at 127\.0\.0\.53 gives the host itself no answer", sentinels=NAMES)
def stub_kept_from_all(lab: Lab) -> None:
    """The host's firewall lets nothing pass to the local resolver."""
    rule = "ip daddr 127.0.0.53 udp dport 53 drop"
    filter_packets(lab.host, f"chain input {{ type filter hook input priority 0; {rule}; }};")


@fault("user/dns-no-resolver", cause=r"by UDP unreachable \(type 3, code 0\) from 10\.0\.2\.3",
       sentinels=(*NAMES, "user/dns-option-redirects"))  # fmt: skip
def told_by_the_resolver(wire: FrameShim) -> None:
    """It is the resolver itself that seems to say that it cannot be reached."""
    wire.alter(FROM_QEMU, NETWORK_UNREACHABLE, {"IP.src": "10.0.2.3"})


@fault("user/dns-empty-file", cause="asked: nobody", sentinels=NAMES)
def own_resolver_stopped(lab: Lab) -> None:
    """No resolver runs on the host."""
    lab.resolvers[lab.host].stop()


@fault("user/dns-ipv6-only-resolver", cause=r"10\.0\.2\.3: unreachable .*; fec0::3: no answer",
       sentinels=(*NAMES, "user/ip6-dns"))  # fmt: skip
def resolver_silent_by_ipv6(lab: Lab) -> None:
    """The router's firewall lets no question pass by IPv6."""
    rule = "meta nfproto ipv6 udp dport 53 drop"
    filter_packets(lab.router, f"chain input {{ type filter hook input priority 0; {rule}; }};")


@fault("user/dns-big-answer", cause="large by UDP: no answer; by TCP: 1 records", sentinels=NAMES)
def later_fragments_of_answers_lost(wire: FrameShim) -> None:
    """Of a datagram in fragments only the first one arrives."""
    wire.drop(FROM_QEMU, {"IP.frag": lambda units: units > 0})


@fault("user/dns-option-redirects", cause=r"nobody answers for 10\.0\.2\.53", sentinels=NAMES)
def dns_option_left_out(lab: Lab) -> None:
    """A management tool knows no `dns=`."""
    set_user_option(lab, "dns", None)


@fault("user/dns-option-outside", cause=r"by UDP 38 bytes from 192\.168\.1\.254 port 5353", sentinels=NAMES)
def answers_from_another_port(wire: FrameShim) -> None:
    """What comes from the host's resolver comes from another port."""

    def is_from_router(frame: "Packet") -> bool:
        return "UDP" in frame and frame["IP"].src == lab_addresses.ROUTER

    wire.alter(FROM_QEMU, is_from_router, {"UDP.sport": 5353})
