"""What servers say on the wire, asked with frames by a peer."""

from collections.abc import Callable
from dataclasses import dataclass

from scapy.layers.dhcp import BOOTP, DHCP
from scapy.layers.inet import ICMP, IP, UDP
from scapy.layers.l2 import ARP, Ether
from scapy.packet import Packet

from qemunet_tests.guest.peer import Peer
from qemunet_tests.observe.lease import Lease
from qemunet_tests.timeouts import turns

BROADCAST = "ff:ff:ff:ff:ff:ff"
TRANSACTION = 0x71656D75


def offer(peer: Peer, within_seconds: float = 2.0) -> Lease | None:
    """The DHCPOFFER that a DISCOVER brings; None when nobody offers anything."""
    discover = (
        Ether(src=peer.mac, dst=BROADCAST)
        / IP(src="0.0.0.0", dst="255.255.255.255")
        / UDP(sport=68, dport=67)
        / BOOTP(chaddr=bytes.fromhex(peer.mac.replace(":", "")), xid=TRANSACTION, flags=0x8000)
        / DHCP(options=[("message-type", "discover"), ("param_req_list", [1, 3, 6, 15, 51, 54]), "end"])
    )
    answer = _asked(peer, discover, lambda frame: DHCP in frame and frame[BOOTP].xid == TRANSACTION, within_seconds)
    if answer is None:
        return None
    options = {option[0]: option[1:] for option in answer[DHCP].options if isinstance(option, tuple)}
    return Lease(
        address=answer[BOOTP].yiaddr,
        prefix=sum(bin(int(octet)).count("1") for octet in options["subnet_mask"][0].split(".")),
        gateway=options.get("router", ("",))[0],
        resolvers=options.get("name_server", ()),
        server=options.get("server_id", ("",))[0],
        seconds=options.get("lease_time", (0,))[0],
        domain="",
    )


@dataclass(frozen=True)
class Resolved:
    """Who answers for an address."""

    address: str
    mac: str


def arp(peer: Peer, address: str, within_seconds: float = 0.5) -> Resolved | None:
    """Who has an address; None when nobody answers."""
    question = Ether(src=peer.mac, dst=BROADCAST) / ARP(op="who-has", hwsrc=peer.mac, psrc="10.0.2.15", pdst=address)
    answer = _asked(peer, question, lambda frame: ARP in frame and frame[ARP].psrc == address, within_seconds)
    return Resolved(address, answer[ARP].hwsrc) if answer else None


def echo_reply(peer: Peer, address: str, within_seconds: float = 1.0) -> bool:
    """Whether an address answers an ICMP echo request, its payload unchanged."""
    owner = arp(peer, address)
    if owner is None:
        return False
    ping = Ether(src=peer.mac, dst=owner.mac) / IP(src="10.0.2.15", dst=address) / ICMP(id=7, seq=1) / b"qemunet"
    answer = _asked(peer, ping, lambda frame: ICMP in frame and frame[ICMP].type == 0, within_seconds)
    return answer is not None and answer[IP].src == address and bytes(answer[ICMP].payload)[:7] == b"qemunet"


def _asked(peer: Peer, question: Packet, wanted: Callable[[Packet], bool], within_seconds: float) -> Packet | None:
    """The answer to a frame, which is sent again where none comes: a hub drops what nobody has time to take."""
    for patience_seconds in turns(within_seconds):
        if answer := peer.ask(question, wanted, patience_seconds):
            return answer
    return None
