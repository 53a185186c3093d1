"""Packets as a sound kernel sends none, or seldom, and what the gateway of a peer's network says to them.

All of them are answered by the gateway itself, at once: what was to come has come when it answers something later.
"""

from typing import TYPE_CHECKING

from qemunet_tests.guest.address_resolution import ADDRESS, GATEWAY, IPV6_ADDRESS
from qemunet_tests.guest.packet_content import addresses_of, is_sound, protocol_of

if TYPE_CHECKING:
    # scapy reads the machine's interfaces when it is imported: not before the lab has been entered.
    from scapy.packet import Packet

    from qemunet_tests.guest.peer import Peer

IPV6_HOST = "fec0::2"
GATEWAY_MAC, IPV6_HOST_MAC = "52:55:0a:00:02:02", "52:56:00:00:00:02"
#: What an echo request carries: with its headers more than the least that an Ethernet carries.
WORD = b"carried by an echo request and its reply"
#: RFC 1350: a read request, for a server that has no folder. RFC 863: nobody has a connection there.
READ_FILE, TFTP_PORT, CLIENT_PORT, DISCARD_PORT = b"\0\1there\0octet\0", 69, 20000, 9
#: By so many bytes what is cut off is shorter than it says.
MISSING_BYTES = 64


def to_gateway(peer: "Peer", *, options: bool = False) -> "Packet":
    """The frame of an IPv4 packet, with options in its header that mean nothing or without."""
    from scapy.layers.inet import IP, IPOption_NOP
    from scapy.layers.l2 import Ether

    header = IP(src=ADDRESS, dst=GATEWAY, options=[IPOption_NOP()] * 4 if options else [])
    return Ether(src=peer.mac, dst=GATEWAY_MAC) / header


def questions(peer: "Peer", *, options: bool = False) -> "dict[str, Packet]":
    """Frames by IPv4, by what they carry: an echo request, a datagram for TFTP, a segment of no connection."""
    from scapy.layers.inet import ICMP, TCP, UDP

    header = to_gateway(peer, options=options)
    return {
        "ICMP": header / ICMP(id=7, seq=1) / WORD,
        "UDP": header / UDP(sport=CLIENT_PORT, dport=TFTP_PORT) / READ_FILE,
        "TCP": header / TCP(sport=CLIENT_PORT, dport=DISCARD_PORT, flags="A", seq=7, ack=4711),
    }


def ipv6_questions(peer: "Peer") -> "dict[str, Packet]":
    """The same by IPv6."""
    from scapy.layers.inet6 import ICMPv6EchoRequest, IPv6
    from scapy.layers.l2 import Ether

    header = Ether(src=peer.mac, dst=IPV6_HOST_MAC) / IPv6(src=IPV6_ADDRESS, dst=IPV6_HOST)
    by_ipv4 = questions(peer)
    return {
        "ICMP by IPv6": header / ICMPv6EchoRequest(id=7, seq=1, data=WORD),
        **{f"{name} by IPv6": header / by_ipv4[name][name] for name in ("UDP", "TCP")},
    }


def is_answer(frame: "Packet", question: "Packet") -> bool:
    """Whether a frame goes back where another came from."""
    if protocol_of(frame) != protocol_of(question):
        return False
    return addresses_of(frame) == addresses_of(question)[::-1]


def is_sound_answer(frame: "Packet", question: "Packet") -> bool:
    """Whether it does, with sums that are right."""
    return is_answer(frame, question) and is_sound(frame)


def with_wrong_sum(frame: "Packet", layer: str) -> "Packet":
    """The same frame with another checksum in one of its headers."""
    built = type(frame)(bytes(frame))
    header = built[layer]
    name = "cksum" if "cksum" in header.fields else "chksum"
    # Never none at all, which 0 means by UDP.
    header.setfieldval(name, 1 if header.getfieldval(name) == 2 else 2)
    return built


def cut_off(peer: "Peer") -> "dict[str, tuple[Packet, Packet]]":
    """Frames that are whole, and the same that end before they say that they do, by what they carry."""
    whole = questions(peer) | ipv6_questions(peer)
    return {
        "ICMP": (whole["ICMP"], _longer(whole["ICMP"], "IP", "len")),
        "ICMP by IPv6": (whole["ICMP by IPv6"], _longer_by_ipv6(whole["ICMP by IPv6"])),
        "UDP": (whole["UDP"], _longer(whole["UDP"], "UDP", "len")),
    }


def _longer(frame: "Packet", layer: str, field: str) -> "Packet":
    """A frame that says that there is more of it, with sums that say nothing against it."""
    built = type(frame)(bytes(frame))
    built[layer].setfieldval(field, built[layer].getfieldval(field) + MISSING_BYTES)
    if layer == "UDP":
        built[layer].chksum = 0
    else:
        built[layer].delfieldval("chksum")
    return built


def _longer_by_ipv6(frame: "Packet") -> "Packet":
    from scapy.layers.inet6 import in6_chksum

    built = type(frame)(bytes(frame))
    built["IPv6"].plen += MISSING_BYTES
    message = built["IPv6"].payload
    message.cksum = 0
    # What is missing counts as zeros.
    message.cksum = in6_chksum(58, built["IPv6"], bytes(message) + bytes(MISSING_BYTES))
    return built
