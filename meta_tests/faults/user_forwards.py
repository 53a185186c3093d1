"""Faults of forwards whose guest is a peer: rules, frames, the monitor, and who has the port."""

import re
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING

from meta_tests.faults.fault import fault
from meta_tests.faults.frames import FROM_QEMU, TO_QEMU, FrameShim
from meta_tests.faults.monitor import answer_lines
from meta_tests.faults.user import filter_packets
from meta_tests.faults.wrapper import alter_netdev, alter_qemu
from qemunet_tests.network import Lab

if TYPE_CHECKING:
    # scapy reads the machine's interfaces when it is imported: not before the lab has been entered.
    from scapy.packet import Packet

    from qemunet_tests.guest.peer import Peer

#: What a forward that works, one that is removed, and one that is refused have nothing to do with.
RULES = ("user/hostfwd-hex", "user/hostfwd-remove-exact", "user/hostfwd-low-port")
SERVICE = 7007


def _rules(lab: Lab, change: Callable[[str], str]) -> None:
    alter_netdev(lab, change, everywhere=True)


@fault("user/hostfwd-default-protocol", cause="is a UDP forward", sentinels=("user/hostfwd-port-zero", *RULES))
def protocol_guessed(lab: Lab) -> None:
    """A management tool takes a forward without a protocol for one of UDP."""
    _rules(lab, lambda word: word.replace("hostfwd=:", "hostfwd=udp:"))


@fault("user/hostfwd-hex", cause=r"TCP forward to 10\.0\.2\.15:1: no word",
       sentinels=("user/hostfwd-default-protocol", "user/hostfwd-remove-exact"))  # fmt: skip
def hexadecimal_cut(lab: Lab) -> None:
    """A management tool reads no further than the first digits of a hexadecimal port."""
    _rules(lab, lambda word: word.replace(":0x1b5f", ":1"))


@fault("user/hostfwd-port-zero", cause="by TCP: both ways$", sentinels=RULES)
def peers_without_udp_forwards(lab: Lab) -> None:
    """A management tool knows forwards of TCP only, in the rules for machines without guests as well."""
    _rules(lab, lambda word: re.sub(r",hostfwd=udp:[^,]*", "", word))


@fault("user/hostfwd-add", cause="net1: not listed",
       sentinels=("user/hostfwd-add-refused", "user/hostfwd-remove-exact"))  # fmt: skip
def network_of_forward_ignored(peer: "Peer") -> None:
    """A monitor adds every forward to the first network, whatever its id."""
    answer_lines(peer, "hostfwd_add net1", lambda line, ask: ask(line.replace(" net1", "")))


@fault("user/hostfwd-add-refused", cause="0 of 3 are refused|hostfwd_add says",
       sentinels=("user/hostfwd-add", "user/hostfwd-remove-exact"))  # fmt: skip
def refusals_swallowed(peer: "Peer") -> None:
    """A monitor says nothing where it refuses to add a forward."""
    answer_lines(peer, "hostfwd_add", lambda line, ask: ask(line) and "")


@fault("user/hostfwd-remove", "user/hostfwd-remove-exact", cause="removed",
       sentinels=("user/hostfwd-add", "user/hostfwd-add-refused"))  # fmt: skip
def removed_in_words_alone(peer: "Peer") -> None:
    """A monitor says of every forward that it was removed, and removes none."""
    answer_lines(
        peer, "hostfwd_remove", lambda line, _: f"host forwarding rule for {line.partition(' ')[2]} removed\r\n"
    )


@fault("user/hostfwd-remove", cause="the old connection: b''", sentinels=("user/hostfwd-add", *RULES))
def connections_end_with_their_forward(peer: "Peer") -> None:
    """A monitor that removes a forward has the guest's data dropped as well."""
    wire = FrameShim(peer.wire)
    peer.wire = wire

    def remove(line: str, ask: Callable[[str], str]) -> str:
        wire.drop(FROM_QEMU, {"TCP.dport": SERVICE})
        return ask(line)

    answer_lines(peer, "hostfwd_remove tcp:127.0.0.1:[0-9]+$", remove)


@fault("user/hostfwd-from-loopback", cause=r"TCP from .* both ways, the guest sees \('10\.0\.2\.2', ",
       sentinels=("user/hostfwd-from-lan", *RULES))  # fmt: skip
def ports_of_callers_lost(wire: FrameShim) -> None:
    """Callers from the host come to the guest with another port than theirs."""
    there, back = {"TCP.dport": SERVICE, "IP.src": "10.0.2.2"}, {"TCP.sport": SERVICE, "IP.dst": "10.0.2.2"}
    wire.alter(FROM_QEMU, there, {"TCP.sport": lambda port: port ^ 1})
    wire.alter(TO_QEMU, back, {"TCP.dport": lambda port: port ^ 1})


@fault("user/hostfwd-from-lan", cause=r"UDP from .* both ways, the guest sees \('192\.168\.1\.99', ",
       sentinels=("user/hostfwd-from-loopback", *RULES))  # fmt: skip
def callers_of_the_lan_hidden(wire: FrameShim) -> None:
    """Datagrams from the LAN come to the guest from another address, as if somebody masqueraded them."""
    own = "192.168.1.10"
    wire.alter(FROM_QEMU, {"UDP.dport": SERVICE, "IP.src": own}, {"IP.src": "192.168.1.99"})
    wire.alter(TO_QEMU, {"UDP.sport": SERVICE, "IP.dst": "192.168.1.99"}, {"IP.dst": own})


@fault("user/hostfwd-connect-proves-nothing", cause=r"does not ask on the wire for 10\.0\.2\.15",
       sentinels=("user/hostfwd-add-refused", "user/hostfwd-low-port"))  # fmt: skip
def guest_is_not_looked_for(wire: FrameShim) -> None:
    """QEMU's questions for the guest's address get lost."""
    wire.drop(FROM_QEMU, {"ARP.op": 1, "ARP.pdst": "10.0.2.15"})


@fault("user/hostfwd-guest-refuses", cause="0 bytes, then silence", sentinels=RULES)
def refusals_of_the_guest_lost(wire: FrameShim) -> None:
    """The resets by which a guest refuses connections get lost."""
    wire.drop(TO_QEMU, {"TCP.flags": lambda flags: "R" in flags})


@fault("user/hostfwd-burst", cause="[01] callers at once",
       sentinels=("user/hostfwd-add-refused", "user/hostfwd-low-port"))  # fmt: skip
def callers_in_single_file(lab: Lab) -> None:
    """The host's firewall lets the first caller to a port pass, and no second one for an hour."""
    rule = (
        'iifname "lo" tcp dport 32768-60999 tcp flags & (syn | ack) == syn limit rate over 1/hour burst 1 packets drop'
    )
    filter_packets(lab.host, f"chain input {{ type filter hook input priority 0; {rule}; }};")


@fault("user/hostfwd-low-port", cause="an ordinary user's QEMU has port 23",
       sentinels=("user/hostfwd-hex", "user/hostfwd-remove-exact"))  # fmt: skip
def low_ports_for_everybody(lab: Lab) -> None:
    """The host lets everybody have every port, as some container engines set it up."""
    lab.host.set_sysctl("net.ipv4.ip_unprivileged_port_start", "0")


@fault("user/hostfwd-ends-with-qemu", cause="after quit: free; after SIGKILL: answers", sentinels=RULES)
def wrapper_outlived_by_qemu(lab: Lab) -> None:
    """A wrapper starts QEMU as its child: who kills the wrapper has not killed QEMU."""
    alter_qemu(lab, lambda words: ["sh", "-c", '"$@"; exit $?', "sh", *words])


@fault("user/hostfwd-again", cause="is refused as long as", sentinels=RULES)
def port_kept_for_qemu(lab: Lab) -> None:
    """Whoever starts a QEMU keeps the port of its forward himself, so that nobody takes it meanwhile."""
    kept = []

    def keep(word: str) -> str:
        for port in re.findall(r"hostfwd=tcp:127\.0\.0\.1:(\d{4,5})-", word):
            kept.append(lab.host.open_socket())
            kept[-1].setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            kept[-1].bind(("127.0.0.1", int(port)))
            kept[-1].listen()
        return word

    _rules(lab, keep)


@fault("user/hostfwd-udp-callers", cause="answer to caller 0', b'answer to caller 1'",
       sentinels=("user/hostfwd-port-zero", *RULES))  # fmt: skip
def answers_to_the_first_caller(wire: FrameShim) -> None:
    """Whoever calls a UDP forward, the first caller gets the answer."""
    callers: list[int] = []

    def first(frame: "Packet") -> bool:
        if frame.haslayer("UDP") and frame["UDP"].sport == SERVICE:
            callers.append(frame["UDP"].dport)
        return bool(callers)

    wire.alter(TO_QEMU, lambda frame: first(frame) and frame.haslayer("UDP"), {"UDP.dport": lambda _: callers[0]})


@fault("user/hostfwd-ipv4-off", cause="of one forward, info usernet lists none", sentinels=RULES)
def forwards_dropped_without_ipv4(lab: Lab) -> None:
    """A management tool leaves forwards out without a word where there is no IPv4."""
    _rules(lab, lambda word: re.sub(r",hostfwd=[^,]*", "", word) if "ipv4=off" in word else word)


@fault("user/info-usernet", cause="out by UDP: not listed", sentinels=("user/hostfwd-add", *RULES))
def datagrams_not_listed(peer: "Peer") -> None:
    """A monitor lists no flow of UDP."""
    answer_lines(peer, "info usernet", lambda line, ask: re.sub(r"\n +UDP\[\d+ sec\].*", "", ask(line)))


@fault("user/hostfwd-name", cause="QEMU starts with the name", sentinels=("user/hostfwd-port-zero", *RULES))
def names_looked_up(lab: Lab) -> None:
    """A management tool puts addresses in the place of names."""
    _rules(lab, lambda word: word.replace("localhost", "127.0.0.1"))


@fault("user/hostfwd-long-rule", cause="not 63|of a rule of", sentinels=("user/hostfwd-port-zero", *RULES))
def long_rules_left_out(lab: Lab) -> None:
    """A management tool leaves out rules that are longer than it can keep."""
    _rules(lab, lambda word: re.sub(r",hostfwd=[^,]{1000,}", "", word))
