"""What a peer with an address of its own finds: for which addresses ARP is answered, and who answers its ping."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from qemunet_tests.errors import HarnessError
from qemunet_tests.observe.arp import BROADCAST
from qemunet_tests.timeouts import turns

if TYPE_CHECKING:
    # scapy reads the machine's interfaces when it is imported: not before the lab has been entered.
    from scapy.packet import Packet

    from qemunet_tests.guest.peer import Peer

#: RFC 5227, 2.1.1: whose question claims no address.
PROBE = "0.0.0.0"


def answered_for(
    peer: "Peer", addresses: Iterable[str], gateway: str, own: str, within_seconds: float = 2.0
) -> list[str]:
    """The addresses for which ARP is answered, each once, as a peer at the address `own` hears.

    The gateway is asked for last, by the same peer as 0.0.0.0: when that is answered, all others were looked at. Raises
    HarnessError where it is not.
    """
    from scapy.layers.l2 import ARP

    questions = [_who_has(peer, address, own) for address in addresses]
    found: list[str] = []

    def is_last(frame: "Packet") -> bool:
        if ARP in frame and frame[ARP].op == 2 and frame[ARP].pdst == own:
            found.append(frame[ARP].psrc)
        return ARP in frame and frame[ARP].op == 2 and frame[ARP].pdst == PROBE

    for patience_seconds in turns(within_seconds):
        found.clear()
        for question in (*questions, _who_has(peer, gateway, PROBE)):
            peer.send(question)
        if peer.receive(is_last, patience_seconds):
            return list(dict.fromkeys(found))
    raise HarnessError(f"nobody answers for the gateway {gateway}, so that silence about others tells nothing")


def pinged(peer: "Peer", address: str, own: str, within_seconds: float = 1.0) -> bool:
    """Whether an address answers the echo request of a peer at the address `own`, with what that carried."""
    from scapy.layers.inet import ICMP, IP
    from scapy.layers.l2 import ARP, Ether

    owner = peer.ask(_who_has(peer, address, own), lambda frame: ARP in frame and frame[ARP].psrc == address)
    if owner is None:
        return False
    question = Ether(src=peer.mac, dst=owner[ARP].hwsrc) / IP(src=own, dst=address) / ICMP(id=7, seq=1) / b"qemunet"
    answer = peer.ask(question, lambda frame: ICMP in frame and frame[ICMP].type == 0, within_seconds)
    if answer is None or (answer[IP].src, answer[IP].dst, answer[ICMP].id, answer[ICMP].seq) != (address, own, 7, 1):
        return False
    # Behind that may be what fills a frame.
    return bytes(answer[ICMP].payload)[:7] == b"qemunet"


def _who_has(peer: "Peer", address: str, own: str) -> "Packet":
    from scapy.layers.l2 import ARP, Ether

    return Ether(src=peer.mac, dst=BROADCAST) / ARP(op="who-has", hwsrc=peer.mac, psrc=own, pdst=address)
