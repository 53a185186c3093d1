"""What has to be offered before anything can be said of it."""

from typing import TYPE_CHECKING, Any

from qemunet_tests.observe.dhcp_client import DhcpAnswer, ask_dhcp

if TYPE_CHECKING:
    # scapy reads the machine's interfaces when it is imported: not before the lab has been entered.
    from qemunet_tests.guest.peer import Peer


def offered(peer: "Peer", **how: Any) -> DhcpAnswer:
    """passt's offer to a DISCOVER; `how` are words of `ask_dhcp`. A test of a passt that makes none is broken."""
    offer = ask_dhcp(peer, "discover", **how)
    assert offer, "passt does not answer a DISCOVER"
    return offer
