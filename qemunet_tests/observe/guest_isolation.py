"""Whether what one guest sends comes to another that should not hear of it."""

from typing import TYPE_CHECKING

from qemunet_tests.errors import HarnessError
from qemunet_tests.guest.address_resolution import (
    ADDRESS,
    BROADCAST,
    is_gateways_answer,
    question_for,
    question_for_gateway,
)

if TYPE_CHECKING:
    # scapy reads the machine's interfaces when it is imported: not before the lab has been entered.
    from scapy.packet import Packet

    from qemunet_tests.guest.peer import Peer

#: Set aside by IEEE 802 for experiments: nobody else's frames have it.
ETHERTYPE = 0x88B5


def frames_between(one: "tuple[Peer, str]", other: "tuple[Peer, str]") -> list[str]:
    """What comes to either of two ends, peers with their MAC addresses, of the other's frames: `broadcast`, `ARP`, ...

    Each sends one of each kind, and they count as sent when the gateway answered behind them. Raises HarnessError
    where it does not.
    """
    from scapy.layers.l2 import Ether

    heard: list[str] = []
    ways = ((one, other[1]), (other, one[1]))
    for (peer, own), far in ways:
        peer.send(Ether(src=own, dst=BROADCAST, type=ETHERTYPE) / b"broadcast".ljust(50))
        peer.send(question_for(own, "10.0.2.16", ADDRESS))
        peer.send(Ether(src=own, dst=far, type=ETHERTYPE) / b"unicast".ljust(50))
        heard += _heard(peer, far)
    # The first end listened before the other had sent anything.
    return [*heard, *_heard(one[0], other[1])]


def _heard(peer: "Peer", far: str) -> list[str]:
    """The frames from `far` that come before the gateway's answer."""
    heard: list[str] = []

    def look(frame: "Packet") -> bool:
        if frame.src == far:
            heard.append(_kind(frame))
        return is_gateways_answer(frame)

    if peer.ask(question_for_gateway(peer.mac), look) is None:
        raise HarnessError("the gateway is no neighbour, so that nobody knows what became of the frames before")
    return heard


def _kind(frame: "Packet") -> str:
    from scapy.layers.l2 import ARP

    return "ARP" if ARP in frame else "broadcast" if frame.dst == BROADCAST else "unicast"
