"""Packets that leave this host as somebody else's: what answers them never comes back. Source: nft(8)."""

from qemunet_tests.diagnosis.failure import Failure
from qemunet_tests.diagnosis.lost_frame import search
from qemunet_tests.diagnosis.lost_frame.frame_path import FramePath
from qemunet_tests.host import nft_ruleset
from qemunet_tests.host.nft_rule import NftRule
from qemunet_tests.host.nft_ruleset import Ruleset
from qemunet_tests.host.obstacle import LostFrame, Obstacle
from qemunet_tests.network.host_target import own_addresses


def sent_as_another(failure: Failure) -> Obstacle | None:
    """A source that is not this host's, and under which nobody asked: a translation that outlived an address has it."""
    path = search.incomplete_path(failure)
    if path is None or not path.unanswered or path.unheard or len(path.places) == 1 or path.exchange.to_host:
        return None
    # Who asks by DHCP, or has no lease, asks under other addresses than that of a lease.
    known = {*own_addresses(failure.target.host), *path.asked_as}
    # What an ARP request is from is no address of IP's.
    foreign = [each for each in path.sources if each not in known] if path.exchange.asked.protocol != "arp" else []
    if not foreign or path.exchange.inward:
        return None
    last, rule = path.places[-1], _by(failure, path, foreign[0])
    said = f" (by {rule.place})" if rule else ""
    return Obstacle(
        f"the {path.exchange.question} left this host at {last} with {foreign[0]} as its source, which this host does "
        f"not have{said}, and no answer came in there: what answers that address is not for this host",
        _masqueraded(rule, path, last, foreign[0]),
        lost=LostFrame(path.exchange.question, path.places, last, None),
    )


def _by(failure: Failure, path: FramePath, source: str) -> NftRule | None:
    """The rule that gives packets this source, of those that may be about this one."""
    ruleset = nft_ruleset.read(failure.target.host.ask) or Ruleset()
    packet = path.exchange.asked.at(None, path.places[-1])
    return next((rule for rule, _ in ruleset.masquerading(packet) if source in rule.words), None)


def _masqueraded(rule: NftRule | None, path: FramePath, last: str, source: str) -> str:
    """What gives this packet the address that the interface has."""
    if rule is None:
        return f"see which rule gives it {source}, and have it say masquerade: sudo nft list ruleset"
    place = f"{rule.chain.family} {rule.chain.table} {rule.chain.name} position {rule.handle}"
    return (
        f"sudo nft insert rule {place} {path.exchange.asked.words} oifname {last} masquerade; for good have the rule "
        f"that says {source} say masquerade, which takes the address that {last} has"
    )
