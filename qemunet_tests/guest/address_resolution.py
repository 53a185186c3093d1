"""Who has an address: how a peer asks, is answered and answers, by ARP (RFC 826) and neighbour discovery (RFC 4861)."""

import ipaddress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from qemunet_tests.errors import HarnessError
from qemunet_tests.guest.packet_content import is_sound

if TYPE_CHECKING:
    # scapy reads the machine's interfaces when it is imported: not before the lab has been entered.
    from scapy.packet import Packet

#: The first lease, and the gateway, of a network of user networking that no option changes.
ADDRESS, GATEWAY = "10.0.2.15", "10.0.2.2"
#: A peer's address in the prefix that is announced, made from its MAC (RFC 4291, A), and the gateway's on every link.
IPV6_ADDRESS, IPV6_GATEWAY = "fec0::5054:ff:fe70:6501", "fe80::2"
BROADCAST = "ff:ff:ff:ff:ff:ff"
ARP_REQUEST, ARP_REPLY = 1, 2


@dataclass(frozen=True)
class AddressOwner:
    """Who answers for an address; `mac` is empty where he does not say it."""

    address: str
    mac: str


class AddressUnanswered(HarnessError, AssertionError):
    """QEMU does not answer for an address that it was to have: an answer about the promise."""

    def __init__(self, address: str) -> None:
        super().__init__(f"nobody answers for {address} on the peer's wire")


def question_for(mac: str, address: str, own: str) -> "Packet":
    """Who has an address? Asked by whoever has `mac` and is at `own`, an address of the same family."""
    from scapy.layers.inet6 import ICMPv6ND_NS, ICMPv6NDOptSrcLLAddr, IPv6
    from scapy.layers.l2 import ARP, Ether

    if ":" not in address:
        return Ether(src=mac, dst=BROADCAST) / ARP(op="who-has", hwsrc=mac, psrc=own, pdst=address)
    group_mac, group = _group_of(address)
    to_group = Ether(src=mac, dst=group_mac) / IPv6(src=own, dst=group, hlim=255)
    return to_group / ICMPv6ND_NS(tgt=address) / ICMPv6NDOptSrcLLAddr(lladdr=mac)


def _group_of(address: str) -> tuple[str, str]:
    """The group that an IPv6 address belongs to, and its MAC: RFC 4291, 2.7.1 and RFC 2464, 7."""
    last = ipaddress.IPv6Address(address).packed[-3:]
    group = ipaddress.IPv6Address(bytes.fromhex("ff0200000000000000000001ff") + last)
    return f"33:33:ff:{last.hex(':')}", str(group)


def answered_by(frame: "Packet") -> AddressOwner | None:
    """Who says in a frame that an address is his; None in any other frame."""
    from scapy.layers.inet6 import ICMPv6ND_NA, ICMPv6NDOptDstLLAddr
    from scapy.layers.l2 import ARP

    if ARP in frame:
        said = frame[ARP]
        return AddressOwner(str(said.psrc), str(said.hwsrc)) if said.op == ARP_REPLY else None
    if ICMPv6ND_NA not in frame or not is_sound(frame):
        return None
    mac = str(frame[ICMPv6NDOptDstLLAddr].lladdr) if ICMPv6NDOptDstLLAddr in frame else ""
    return AddressOwner(str(frame[ICMPv6ND_NA].tgt), mac)


def is_answer_for(frame: "Packet", address: str) -> bool:
    """Whether somebody says in a frame that an address is his."""
    owner = answered_by(frame)
    return owner is not None and owner.address == address


def question_for_gateway(mac: str) -> "Packet":
    """Whose the gateway's IPv6 address is, asked by whoever has `mac`, from the address that it gives itself.

    libslirp answers that at once, and it changes nothing: whoever asks it behind another question has its answer when
    that one was looked at.
    """
    return question_for(mac, IPV6_GATEWAY, link_local(mac))


def is_gateways_answer(frame: "Packet") -> bool:
    """Whether a frame says whose the gateway's IPv6 address is."""
    return is_answer_for(frame, IPV6_GATEWAY)


def link_local(mac: str) -> str:
    """The address that a MAC gives itself: RFC 4291, 2.5.1."""
    first, *middle, fourth, fifth, sixth = bytes.fromhex(mac.replace(":", ""))
    octets = bytes([first ^ 2, *middle, 0xFF, 0xFE, fourth, fifth, sixth])
    return "fe80::" + ":".join(octets[at : at + 2].hex() for at in range(0, 8, 2))


def asked_by(frame: "Packet") -> str | None:
    """The address that somebody asks for, in a frame that whoever has it hears."""
    from scapy.layers.inet6 import ICMPv6ND_NS, IPv6
    from scapy.layers.l2 import ARP

    if ARP in frame:
        return str(frame[ARP].pdst) if frame[ARP].op == ARP_REQUEST else None
    if ICMPv6ND_NS not in frame or not is_sound(frame):
        return None
    address, to = str(frame[ICMPv6ND_NS].tgt), (frame.dst, frame[IPv6].dst)
    return address if to == _group_of(address) or not frame.dst.startswith("33:33:") else None


def answer_to(question: "Packet", mac: str) -> "Packet":
    """That the address is that of whoever has `mac`."""
    from scapy.layers.inet6 import ICMPv6ND_NA, ICMPv6ND_NS, ICMPv6NDOptDstLLAddr, IPv6
    from scapy.layers.l2 import ARP, Ether

    frame = Ether(src=mac, dst=question.src)
    if ARP in question:
        asked = question[ARP]
        return frame / ARP(op="is-at", hwsrc=mac, psrc=asked.pdst, hwdst=asked.hwsrc, pdst=asked.psrc)
    own = question[ICMPv6ND_NS].tgt
    said = ICMPv6ND_NA(tgt=own, R=0, S=1, O=1) / ICMPv6NDOptDstLLAddr(lladdr=mac)
    return frame / IPv6(src=own, dst=question[IPv6].src, hlim=255) / said
