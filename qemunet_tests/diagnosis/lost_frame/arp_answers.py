"""Who answers ARP at this host's cards, asked past its kernel: not whom the kernel hears. Only root may ask so."""

from collections.abc import Iterator

from qemunet_tests.diagnosis.failure import Failure
from qemunet_tests.host.files import MACHINE, read_text
from qemunet_tests.host.nft_match import PacketSeen
from qemunet_tests.host.nft_ruleset import Stop, stops
from qemunet_tests.host.obstacle import Obstacle
from qemunet_tests.host.route_lookup import Neighbour
from qemunet_tests.network.host_target import own_addresses
from qemunet_tests.observe.arp import ELSEWHERE, answers_who


def trouble(failure: Failure, hop: Neighbour) -> Obstacle | None:
    """What keeps this host and the next one on its way from finding one another."""
    own = _mac(hop.link)
    if not own or ":" in hop.address:
        return None
    for card in _cards(failure, hop.link):
        if taken := _address_taken(failure, hop.link, card, own):
            return taken
        if hop.failed and (found := _not_admitted(failure, hop, card, own) or _unheard(failure, hop, card, own)):
            return found
    return None


def _cards(failure: Failure, link: str) -> list[str]:
    """What leads from a link to the LAN: of a bridge its uplinks, else the link itself."""
    bridge = failure.bridge(link)
    return [port.name for port in bridge.uplinks] if bridge else [link]


def _mac(link: str) -> str | None:
    return read_text(MACHINE, f"/sys/class/net/{link}/address")


def _address_taken(failure: Failure, link: str, card: str, own: str) -> Obstacle | None:
    """Somebody else who has this host's own address: what is for this host is sent to him, or answered to himself."""
    host = failure.target.host
    for address in (address for address, where in own_addresses(host).items() if where == link and ":" not in address):
        mac = answers_who(host, card, own, address)
        # Who answers for whomever he knows a way to (proxy ARP) has nobody's address.
        if mac and not answers_who(host, card, own, ELSEWHERE):
            return Obstacle(
                f"{mac}, another machine behind {card}, has this host's own address {address}: what is for this host "
                "goes there",
                f"find that machine and give one of the two another address than {address}",
            )
    return None


def _not_admitted(failure: Failure, hop: Neighbour, card: str, own: str) -> Obstacle | None:
    """A bridge has a MAC address of its own, and a switch may admit that of the card in it alone."""
    cards, host = _mac(card), failure.target.host
    if not cards or cards == own or not answers_who(host, card, cards, hop.address):
        return None
    if answers_who(host, card, own, hop.address):
        return None
    return Obstacle(
        f"what is behind {card} admits no other MAC address than {card}'s own, {cards}: {hop.address} answers ARP "
        f"asked from that address, and does not from {own}, which {hop.link} has given this host",
        f"sudo ip link set {hop.link} address {cards}, or have the (virtual) switch's port admit {own} and guests",
    )


def _unheard(failure: Failure, hop: Neighbour, card: str, own: str) -> Obstacle | None:
    """Somebody who does answer, and a kernel that does not take the answer, or does not ask."""
    mac = answers_who(failure.target.host, card, own, hop.address)
    if mac is None:
        return None
    found = [stop.obstacle for stop in _stopping_arp(failure, hop) if stop.certain]
    by = f"where this stands: {found[0].reason}" if found else "by something that is not known to us"
    return Obstacle(
        f"{mac} behind {card} answers ARP for {hop.address}, and not to this host's kernel: question or answer is lost "
        f"between {hop.link} and it, {by}",
        found[0].remedy if found else f"look: sudo arptables -S, sudo nft list ruleset, ip link show dev {hop.link}",
    )


def _stopping_arp(failure: Failure, hop: Neighbour) -> Iterator[Stop]:
    asked = PacketSeen("arp", None, hop.address, leaving_by=hop.link, state=None, kind="request")
    for packet, hook in ((asked, "output"), (asked.answer("reply"), "input")):
        found = stops(failure.target.host.ask, packet)
        yield from (stop for stop in found if stop.family == "arp" and stop.hook == hook)
