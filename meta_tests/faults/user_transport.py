"""Faults of TCP and UDP on their way through QEMU: frames, limits of QEMU's, and firewalls behind it."""

import itertools
import os
import signal
from typing import TYPE_CHECKING

from meta_tests.faults.fault import fault
from meta_tests.faults.frames import FROM_QEMU, TO_QEMU, FrameShim
from meta_tests.faults.user import filter_packets
from meta_tests.faults.wrapper import alter_qemu
from qemunet_tests.network import Lab

if TYPE_CHECKING:
    # scapy reads the machine's interfaces when it is imported: not before the lab has been entered.
    from scapy.packet import Packet

    from qemunet_tests.guest.peer import Peer

#: Of TCP's opening and ending, of ICMP's errors, of UDP: what a fault of another kind leaves alone.
OPENING = ("user/tcp-refused", "user/tcp-syn-options")
ENDING = ("user/tcp-half-close-out", "user/tcp-half-close-in")
DATAGRAMS = ("user/udp-empty", "user/udp-fragments", "user/udp-ttl")
UNREACHABLE = {"ICMP.type": 3, "ICMP.code": 0}


def _segments(flag: str) -> "dict[str, object]":
    return {"TCP.flags": lambda flags: flag in flags}


@fault("user/tcp-refused", cause="the LAN: no answer", sentinels=("user/tcp-syn-options", *ENDING, *DATAGRAMS))
def refusals_of_the_lan_dropped(lab: Lab) -> None:
    """A machine of the LAN keeps silent about closed ports, as many firewalls have it."""
    filter_packets(lab.neighbour, "chain out { type filter hook output priority 0; tcp flags & rst == rst drop; };")


@fault("user/tcp-no-route", "user/resolver-other-port", "user/tcp-descriptors-exhausted", cause="no answer",
       sentinels=(*OPENING, *ENDING, "user/udp-closed-port"))  # fmt: skip
def unreachable_networks_untold(wire: FrameShim) -> None:
    """The guest is not told of networks that cannot be reached."""
    wire.drop(FROM_QEMU, UNREACHABLE)


@fault("user/tcp-dead-host", cause=r"first comes \['A'\]", sentinels=(*OPENING, *ENDING))
def stray_end_hidden(wire: FrameShim) -> None:
    """What comes of a connection that never began is another segment yet."""
    wire.alter(FROM_QEMU, {"IP.src": "192.168.1.77", "TCP.flags": "FA"}, {"TCP.flags": "A"})


@fault("user/tcp-half-close-out", "user/tcp-half-close-in", cause="and an reset (back|here)",
       sentinels=(*OPENING, *DATAGRAMS))  # fmt: skip
def ends_are_resets(wire: FrameShim) -> None:
    """The end of a connection comes to the guest as a reset, as from a middlebox that knows no half-open ones."""
    wire.alter(FROM_QEMU, _segments("F"), {"TCP.flags": "RA"})


@fault("user/tcp-reset", cause="the host's reset comes to the guest as silence",
       sentinels=("user/tcp-half-close-in", "user/tcp-syn-options", *DATAGRAMS))  # fmt: skip
def resets_lost(wire: FrameShim) -> None:
    """Resets do not come to the guest."""
    wire.drop(FROM_QEMU, _segments("R"))


def _at_once(frame: "Packet") -> "Packet":
    from scapy.layers.inet import IP, TCP
    from scapy.layers.l2 import Ether

    asked = frame["TCP"]
    answer = TCP(sport=asked.dport, dport=asked.sport, flags="SA", seq=0, ack=asked.seq + 1, window=65535)
    return Ether(src=frame.dst, dst=frame.src) / IP(src=frame["IP"].dst, dst=frame["IP"].src) / answer


@fault("user/tcp-connected-means-connected", cause="as long as the service is full: connected",
       sentinels=("user/udp-closed-port", *DATAGRAMS))  # fmt: skip
def accepted_at_once(wire: FrameShim) -> None:
    """Something on the way accepts every connection before anybody is asked, as proxies do."""
    wire.invent(TO_QEMU, {"TCP.flags": "S"}, _at_once, to=FROM_QEMU)


@fault("user/tcp-500-at-once", cause=r"\b[12]\d\d of 500 open", sentinels=(*OPENING, *ENDING))
def few_descriptors(lab: Lab) -> None:
    """QEMU may open 256 descriptors, as where a service manager has such a limit."""
    alter_qemu(lab, lambda words: ["prlimit", "--nofile=256", "--", *words])


@fault("user/peer-sees-host", cause="the host's address, port 2[0-9]{3}; ", sentinels=(*OPENING, *ENDING, *DATAGRAMS))
def ports_rewritten(lab: Lab) -> None:
    """The host rewrites the ports that it calls from, as some gateways do."""
    rule = 'oifname "br0" tcp dport != 7007 snat ip to 192.168.1.2:2000-2999'
    filter_packets(lab.host, f"chain post {{ type nat hook postrouting priority srcnat; {rule}; }};")


@fault("user/tcp-syn-options", cause="SAckOK", sentinels=("user/tcp-refused", *ENDING, *DATAGRAMS))
def more_options(wire: FrameShim) -> None:
    """The answers to SYNs promise selective acknowledgements."""
    wire.alter(FROM_QEMU, _segments("S"), {"TCP.options": [("MSS", 1460), ("SAckOK", b"")]})


def _is_at(frame: "Packet") -> "Packet":
    from scapy.layers.l2 import ARP, Ether

    asked, mac = frame["ARP"], "52:55:0a:00:02:32"
    return Ether(src=mac, dst=frame.src) / ARP(op=2, hwsrc=mac, psrc=asked.pdst, hwdst=asked.hwsrc, pdst=asked.psrc)


@fault("user/empty-addresses", cause=r"somebody says that he is 10\.0\.2\.50", sentinels=(*OPENING, *ENDING))
def addresses_of_nobody_answered(wire: FrameShim) -> None:
    """Somebody answers ARP for an address that nobody has, as a proxy does."""
    wire.invent(TO_QEMU, {"ARP.op": 1, "ARP.pdst": "10.0.2.50"}, _is_at, to=FROM_QEMU)


@fault("user/udp-any-answers", cause="there came .*of the first'", sentinels=(*DATAGRAMS, "user/udp-closed-port"))
def strangers_dropped(lab: Lab) -> None:
    """The host's firewall lets no datagrams in that it has not asked for from there."""
    rule = 'iifname "lo" ip saddr 192.168.1.2 udp dport 32768-60999 drop'
    filter_packets(lab.host, f"chain input {{ type filter hook input priority 0; {rule}; }};")


@fault("user/udp-broadcast", cause=r"back comes b'an answer' from 10\.0\.2\.99", sentinels=DATAGRAMS)
def answers_from_elsewhere(wire: FrameShim) -> None:
    """What comes from the host's loopback comes to the guest from an address that it has not asked."""
    wire.alter(FROM_QEMU, {"IP.src": "127.0.0.1", "IP.proto": 17}, {"IP.src": "10.0.2.99"})


@fault("user/udp-closed-port", cause=r"of a closed port of 192\.168\.1\.10, ICMP says nothing",
       sentinels=(*DATAGRAMS, "user/udp-any-answers"))  # fmt: skip
def closed_ports_of_the_lan_untold(lab: Lab) -> None:
    """A machine of the LAN does not tell of closed ports."""
    filter_packets(
        lab.neighbour, "chain out { type filter hook output priority 0; icmp type destination-unreachable drop; };"
    )


@fault("user/udp-closed-port-gateway", cause=r"a closed port of the host is reported by 10\.0\.2\.99",
       sentinels=(*DATAGRAMS, "user/udp-closed-port"))  # fmt: skip
def closed_ports_told_by_another(wire: FrameShim) -> None:
    """The ICMP errors about the host's closed ports come from an address that nobody has written to."""
    wire.alter(FROM_QEMU, {"ICMP.type": 3, "ICMP.code": 3, "IP.src": "127.0.0.1"}, {"IP.src": "10.0.2.99"})


@fault("user/udp-fragments", cause="3000 bytes: whole there, spoilt back in 0 packets",
       sentinels=("user/udp-empty", "user/udp-ttl", *OPENING))  # fmt: skip
def second_fragments_lost(wire: FrameShim) -> None:
    """Of every packet that comes in pieces the second gets lost."""
    wire.drop(FROM_QEMU, {"IP.frag": 185})


@fault("user/udp-empty", cause="back: nothing", sentinels=("user/udp-fragments", "user/udp-ttl", *OPENING))
def empty_datagrams_dropped(wire: FrameShim) -> None:
    """Something takes datagrams without content for none."""
    wire.drop(FROM_QEMU, {"UDP.len": 8})


@fault(
    "user/udp-ttl", cause="sent with 9: arrived with 63", sentinels=("user/udp-fragments", "user/udp-empty", *OPENING)
)
def time_to_live_set_anew(wire: FrameShim) -> None:
    """Something on the way gives every datagram the usual time to live."""
    wire.alter(TO_QEMU, {"UDP.dport": lambda port: port > 1023}, {"IP.ttl": 64})


@fault("user/flood-survived", cause="QEMU ends of the frames that its guest sends: killed by SIGSEGV",
       sentinels=(*OPENING, *DATAGRAMS))  # fmt: skip
def ended_by_a_flood(peer: "Peer") -> None:
    """A QEMU whose guest sends very many frames ends by a fault of its own."""
    shim, qemu, sent = FrameShim(peer.wire), peer.qemu, itertools.count()
    peer.wire = shim

    def too_many(_: "Packet") -> bool:
        if next(sent) == 1000 and qemu is not None:
            os.kill(qemu.process.pid, signal.SIGSEGV)
            qemu.process.wait()
        return False

    shim.drop(TO_QEMU, too_many)


@fault("user/tcp-urgent", cause=r"back: b'!' at \[\]", sentinels=(*OPENING, *ENDING, *DATAGRAMS))
def urgency_lost(wire: FrameShim) -> None:
    """What is urgent comes to the guest as anything else, as from a middlebox that clears such marks."""
    wire.alter(FROM_QEMU, _segments("U"), {"TCP.flags": lambda flags: str(flags).replace("U", ""), "TCP.urgptr": 0})


@fault("user/udp-many", cause="5 of 20 answered", sentinels=("user/udp-empty", "user/udp-ttl", *OPENING))
def deaf_after_five(wire: FrameShim) -> None:
    """Something lets no more than five answers of a conversation through."""
    count = itertools.count(1)
    wire.drop(FROM_QEMU, {"UDP.dport": lambda port: port > 1023 and next(count) > 5})


@fault("user/tcp-stray", cause=r"from 10\.0\.2\.3:9", sentinels=(*OPENING, *DATAGRAMS))
def resets_of_another(wire: FrameShim) -> None:
    """Resets come from somebody who was not asked."""
    wire.alter(FROM_QEMU, {"TCP.flags": "R"}, {"IP.src": "10.0.2.3"})
