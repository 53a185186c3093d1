"""Faults of passt mode: frames between a peer and its QEMU, and what passt is started with."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from meta_tests.faults.fault import fault
from meta_tests.faults.frames import FROM_QEMU, TO_QEMU, FrameShim
from meta_tests.faults.monitor import answer_lines
from meta_tests.faults.wrapper import alter_qemu
from qemunet_tests.errors import HarnessError
from qemunet_tests.isolation.processes import Process
from qemunet_tests.network import Lab, lab_addresses

if TYPE_CHECKING:
    # scapy reads the machine's interfaces when it is imported: not before the lab has been entered.
    from qemunet_tests.guest.peer import Peer

OFFERS, ANSWERS = {"DHCP.message-type": 2}, {"BOOTP.op": 2}
#: No peer of theirs sees a frame.
STARTED = ("passt/sandboxed", "passt/port-taken")
#: Claims of what DHCP tells.
LEASED = ("passt/host-address", "passt/one-address")


def alter_passt(lab: Lab, change: Callable[[list[str]], list[str]]) -> None:
    """From now on every passt at the lab's host is started with what `change` makes of its command line."""
    start = lab.host.start

    def altered(words: Sequence[str], **options: Any) -> Process:
        is_passt = any(Path(word).name == "passt" for word in words)
        return start(change(list(words)) if is_passt else words, **options)

    lab.host.start = altered


def _after(words: list[str], option: str) -> str:
    return words[words.index(option) + 1]


def _without(words: list[str], option: str) -> list[str]:
    """The words without an option and its value."""
    at = words.index(option) if option in words else len(words)
    return words[:at] + words[at + 2 :]


@fault("passt/stream", cause="there answer ARP, DHCP, DHCPv6, NDP, RA, UDP$", sentinels=LEASED, core=True)
def connections_lost_behind_passt(wire: FrameShim) -> None:
    """No TCP segment comes back."""
    wire.drop(FROM_QEMU, lambda frame: "TCP" in frame)


@fault("passt/host-address", cause=r"offered 192\.168\.1\.99", sentinels=("passt/dhcp-dns-search", *STARTED))
def another_address_offered(wire: FrameShim) -> None:
    """DHCP offers an address that is not the host's."""
    wire.alter(FROM_QEMU, ANSWERS, {"BOOTP.yiaddr": "192.168.1.99"})


@fault("passt/one-address", cause=r"offered 192\.168\.1\.2 192\.168\.1\.3", sentinels=("passt/host-address", *STARTED))
def an_address_for_each(wire: FrameShim) -> None:
    """DHCP offers the second client an address of its own."""
    second = bytes.fromhex("525400706601")
    wire.alter(FROM_QEMU, {**ANSWERS, "BOOTP.chaddr": lambda mac: mac[:6] == second}, {"BOOTP.yiaddr": "192.168.1.3"})


@fault("passt/guest-address", cause=r"10\.0\.3\.99/24 is no address that the network gives",
       sentinels=LEASED)  # fmt: skip
def another_address_asked_for(lab: Lab) -> None:
    """Whoever starts passt names another address than it was told."""
    alter_passt(lab, lambda words: [word.replace("10.0.3.15", "10.0.3.99") for word in words])


@fault("passt/dhcp-dns-search", cause=r"told resolvers 192\.168\.1\.254, search", sentinels=(*LEASED, *STARTED))
def second_resolver_left_out(wire: FrameShim) -> None:
    """DHCP tells one resolver and no second."""
    wire.alter(FROM_QEMU, OFFERS, {"DHCP.name_server": lab_addresses.ROUTER})


@fault("passt/mtu-65520", cause="an MTU of 1500 by DHCP", sentinels=(*LEASED, *STARTED))
def mtu_of_an_ethernet(wire: FrameShim) -> None:
    """DHCP tells the MTU of an Ethernet."""
    wire.alter(FROM_QEMU, OFFERS, {"DHCP.interface-mtu": 1500})


@fault("passt/slaac", cause=r"announces router; 2001:db8:9::/64", sentinels=("passt/host-address", *STARTED))
def another_prefix_announced(wire: FrameShim) -> None:
    """The router announces a prefix that is not the host's."""
    wire.alter(
        FROM_QEMU, lambda frame: "ICMPv6NDOptPrefixInfo" in frame, {"ICMPv6NDOptPrefixInfo.prefix": "2001:db8:9::"}
    )


@fault("passt/dhcpv6", cause="DHCPv6 does not answer", sentinels=("passt/slaac", *STARTED))
def dhcpv6_silent(wire: FrameShim) -> None:
    """Nothing that a DHCPv6 server says comes through."""
    wire.drop(FROM_QEMU, {"UDP.sport": 547})


@fault("passt/dns-forward", cause="asked for www.example, .*no answer", sentinels=("passt/udp-both-ways", *STARTED))
def resolver_silent(wire: FrameShim) -> None:
    """No answer of a resolver comes back."""
    wire.drop(FROM_QEMU, {"UDP.sport": 53})


@fault("passt/udp-both-ways", cause=r"come back of 192\.168\.1\.10: 250, 1250 bytes", sentinels=LEASED)
def large_packets_lost(wire: FrameShim) -> None:
    """What is larger than an Ethernet's frames does not come back."""
    wire.drop(FROM_QEMU, lambda frame: len(frame) > 1514)


@fault("passt/gateway-is-host-loopback", cause=r"reached at 192\.168\.1\.254 by UDP", sentinels=LEASED)
def gateway_accepts_nothing(wire: FrameShim) -> None:
    """No TCP segment comes from the host's loopback."""
    wire.drop(FROM_QEMU, lambda frame: "TCP" in frame and frame["TCP"].sport == lab_addresses.LOOPBACK_PORT)


@fault("passt/map-guest-addr", cause="at the mapped address: .*nobody answers", sentinels=LEASED)
def mapping_left_out(lab: Lab) -> None:
    """A management tool knows no `--map-guest-addr`."""
    alter_passt(lab, lambda words: _without(words, "--map-guest-addr"))


@fault("passt/dead-host-reset", cause="a host that is not there: no answer", sentinels=LEASED)
def resets_lost_behind_passt(wire: FrameShim) -> None:
    """No reset comes through."""
    wire.drop(FROM_QEMU, lambda frame: "TCP" in frame and "R" in frame["TCP"].flags)


@fault("passt/no-forward-by-default", cause=r"no option: tcp .*:2298", sentinels=STARTED)
def a_forward_more(lab: Lab) -> None:
    """Whoever starts passt forwards a port that nobody asked for."""
    alter_passt(lab, lambda words: [*words, "--tcp-ports", "2298"])


@fault("passt/port-taken", cause="a port that is taken, passt: starts", sentinels=("passt/sandboxed", *LEASED))
def ports_left_out(lab: Lab) -> None:
    """Whoever starts passt leaves its ports out."""
    alter_passt(lab, lambda words: _without(words, "--tcp-ports"))


@fault("passt/sandboxed", cause="shuts itself in by namespaces none, no capability$", sentinels=("passt/port-taken",))
def passt_of_another_kind(lab: Lab) -> None:
    """In passt's place runs a program that shuts itself off from nothing."""

    def instead(words: list[str]) -> list[str]:
        if "--tcp-ports" in words:
            return words
        at = next(at for at, word in enumerate(words) if Path(word).name == "passt")
        script = 'echo $$ >"$1"; : >"$2"; exec sleep 600'
        return [*words[:at], "sh", "-c", script, "sh", _after(words, "--pid"), _after(words, "--socket")]

    alter_passt(lab, instead)


@fault("passt/no-privilege", cause="of capabilities: QEMU with some", sentinels=LEASED)
def qemu_with_net_admin(lab: Lab) -> None:
    """Somebody gave QEMU the capability to change the network."""
    keep = {f"--{kind}-caps=-all": f"--{kind}-caps=-all,+net_admin" for kind in ("inh", "ambient")}
    alter_qemu(lab, lambda words: [keep.get(word, word) for word in words])


@fault("passt/icmp", cause="closed: silence, open: silence", sentinels=LEASED)
def replies_lost(wire: FrameShim) -> None:
    """No echo reply comes back."""
    wire.drop(FROM_QEMU, {"ICMP.type": 0})


@fault("passt/traceroute", cause="there are nobody", sentinels=LEASED)
def times_over_not_told(wire: FrameShim) -> None:
    """Nobody tells that the time of a datagram is over."""
    wire.drop(FROM_QEMU, {"ICMP.type": 11})


@fault("passt/two-guests", cause="words pass no way", sentinels=LEASED)
def words_to_the_other_lost(wire: FrameShim) -> None:
    """What one guest says does not come to the other."""
    wire.drop(FROM_QEMU, lambda frame: "TCP" in frame and frame["TCP"].dport == 2401 and bool(frame["TCP"].payload))


@fault("passt/reconnect-stream", cause=r"has 192\.168\.1\.2, again none", sentinels=LEASED)
def a_call_once_only(lab: Lab) -> None:
    """A wrapper in QEMU's place leaves `reconnect-ms=` out."""
    alter_qemu(lab, lambda words: [word.replace(",reconnect-ms=200", "") for word in words])


@fault("passt/tcp-both-ways", cause="2001:db8:1::10: 0 bytes, not the same", sentinels=LEASED)
def connections_by_ipv6_refused(lab: Lab) -> None:
    """The host's firewall refuses connections to others by IPv6."""
    rule = f"ip6 daddr {lab_addresses.NEIGHBOUR_IPV6} meta l4proto tcp reject with tcp reset"
    done = lab.host.run(f"nft 'table inet fault {{ chain output {{ type filter hook output priority 0; {rule}; }}; }}'")
    if not done.succeeded:
        raise HarnessError(f"the fault cannot be planted: {done.complaint}")


@fault("passt/tcp-half-close", cause="11 bytes and no end there", sentinels=LEASED)
def ends_lost_before_passt(wire: FrameShim) -> None:
    """The end of a stream does not reach passt."""
    wire.drop(TO_QEMU, lambda frame: "TCP" in frame and "F" in frame["TCP"].flags)


@fault("passt/tcp-half-close", cause="11 bytes and an end there, 0 bytes and (no end|a reset) back",
       sentinels=LEASED)  # fmt: skip
def all_lost_after_a_guests_end(wire: FrameShim) -> None:
    """No data come from the host's loopback."""
    wire.drop(FROM_QEMU, lambda frame: "TCP" in frame and bytes(frame["TCP"].payload) != b"")


@fault("passt/named", cause="the monitor says of it type=stream,unix:$", sentinels=(*LEASED, *STARTED))
def socket_of_passt_not_named(peer: "Peer") -> None:
    """A monitor says what kind of socket it is, and not which."""
    answer_lines(peer, "info network", lambda line, ask: re.sub("unix:/.*", "unix:", ask(line)))


@fault("passt/two-backends", cause=r"second offers 10\.0\.3\.15", sentinels=LEASED)
def second_network_as_the_first(wire: FrameShim) -> None:
    """The second passt offers the address of the first."""
    wire.alter(FROM_QEMU, {**ANSWERS, "BOOTP.yiaddr": "10.0.4.15"}, {"BOOTP.yiaddr": "10.0.3.15"})


@fault("passt/sandbox", cause="in the sandbox there answer ARP, DHCPv6, NDP, RA, TCP, UDP$", sentinels=STARTED)
def offers_lost_behind_passt(wire: FrameShim) -> None:
    """No answer of DHCP comes through."""
    wire.drop(FROM_QEMU, ANSWERS)
