"""Who answers ARP at this host's cards, asked past its kernel: not whom the kernel hears. Only root may ask so."""

from collections.abc import Iterator

from qemunet_tests.diagnosis.failure import Failure
from qemunet_tests.host.bridges import interfaces
from qemunet_tests.host.files import MACHINE, read_text
from qemunet_tests.host.nft_match import PacketSeen
from qemunet_tests.host.nft_ruleset import Stop, stops
from qemunet_tests.host.obstacle import Obstacle
from qemunet_tests.host.route_lookup import Neighbour
from qemunet_tests.network.host_target import own_addresses
from qemunet_tests.observe.arp import ELSEWHERE, answers_each

#: Who answered each question, the MAC that asked and the address that was asked for.
Answers = dict[tuple[str, str], str | None]


def trouble(failure: Failure, hop: Neighbour) -> Obstacle | None:
    """What keeps this host and the next one on its way from finding one another."""
    own = _mac(hop.link)
    if not own or ":" in hop.address:
        return None
    for card in _cards(failure, hop.link):
        said = _asked(failure, hop, card, own)
        if taken := _address_taken(failure, hop.link, card, said):
            return taken
        if hop.failed and (found := _not_admitted(hop, card, own, said) or _unheard(failure, hop, card, own, said)):
            return found
    return None


def _asked(failure: Failure, hop: Neighbour, card: str, own: str) -> Answers:
    """Whatever may matter is asked at once: each question waits for a second, because nobody may answer it."""
    questions = [(own, address) for address in (*_own_at(failure, hop.link), ELSEWHERE)]
    if hop.failed:
        questions += [(mac, hop.address) for mac in dict.fromkeys((_mac(card) or own, own))]
    return answers_each(failure.target.host, card, questions)


def _own_at(failure: Failure, link: str) -> list[str]:
    """This host's own addresses at a link."""
    known = own_addresses(failure.target.host)
    return [address for address, where in known.items() if where == link and ":" not in address]


def _cards(failure: Failure, link: str) -> list[str]:
    """What leads from a link to the LAN: of a bridge its uplinks, else the link itself."""
    bridge = failure.bridge(link)
    return [port.name for port in bridge.uplinks] if bridge else [link]


def _mac(link: str) -> str | None:
    return read_text(MACHINE, f"/sys/class/net/{link}/address")


def _address_taken(failure: Failure, link: str, card: str, said: Answers) -> Obstacle | None:
    """Somebody else who has this host's own address: what is for this host is sent to him, or answered to himself."""
    own_here = _own_at(failure, link)
    # A host answers at every card for all of its addresses: another one of it may be in the same LAN.
    ourselves = {_mac(each) for each in interfaces()}
    # Who answers for whomever he knows a way to (proxy ARP) has nobody's address.
    if any(mac for (_, address), mac in said.items() if address == ELSEWHERE):
        return None
    for (_, address), mac in said.items():
        if mac and mac not in ourselves and address in own_here:
            return Obstacle(
                f"{mac}, another machine behind {card}, has this host's own address {address}: what is for this host "
                "goes there",
                f"find that machine and give one of the two another address than {address}",
            )
    return None


def _not_admitted(hop: Neighbour, card: str, own: str, said: Answers) -> Obstacle | None:
    """A bridge has a MAC address of its own, and a switch may admit that of the card in it alone."""
    cards = _mac(card)
    if not cards or cards == own or not said.get((cards, hop.address)) or said.get((own, hop.address)):
        return None
    return Obstacle(
        f"what is behind {card} admits no other MAC address than {card}'s own, {cards}: {hop.address} answers ARP "
        f"asked from that address, and does not from {own}, which {hop.link} has given this host",
        f"sudo ip link set {hop.link} address {cards}, or have the (virtual) switch's port admit {own} and guests",
    )


def _unheard(failure: Failure, hop: Neighbour, card: str, own: str, said: Answers) -> Obstacle | None:
    """Somebody who does answer, and a kernel that does not take the answer, or does not ask."""
    mac = said.get((own, hop.address))
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
