"""Causes why a guest on the bridge gets no lease, although everything on the host is in order."""

import functools
from contextlib import suppress
from weakref import WeakKeyDictionary

from qemunet_tests import timeouts
from qemunet_tests.deadline import Deadline
from qemunet_tests.diagnosis.failure import Failure
from qemunet_tests.diagnosis.lost_frame import search
from qemunet_tests.diagnosis.lost_frame.frame_path import FramePath
from qemunet_tests.diagnosis.lost_frame.probes import DHCP
from qemunet_tests.diagnosis.lost_frame.where_lost import AS_ROOT
from qemunet_tests.errors import Unavailable
from qemunet_tests.guest.guest import Guest
from qemunet_tests.host import nft_ruleset
from qemunet_tests.host.dhcp_servers import listeners
from qemunet_tests.host.nft_match import PacketSeen
from qemunet_tests.host.nft_ruleset import Ruleset
from qemunet_tests.host.obstacle import Obstacle
from qemunet_tests.network.host_target import addresses, gateway_over
from qemunet_tests.network.target import Target
from qemunet_tests.observe.dhcp import (
    SERVER_PORT,
    AnswersToHost,
    answers_to_host,
    asking_seconds,
    checksums_of_offers,
    dhcp_messages,
    refuses_requests,
    seconds_to_offer,
    told_by_dhcp,
)
from qemunet_tests.observe.ipv6 import announced_prefixes
from qemunet_tests.observe.lease import lease_now

#: Every client waits so long. So late is no busy machine. And who has asked so long without an answer gets none.
SLOW_SECONDS, SURELY_SLOW_SECONDS, ENOUGH_SECONDS = 3.0, 15.0, 30.0
#: Of one request the answer may be lost.
FEWEST_REQUESTS = 2
#: What a client without an address sends.
REQUEST = PacketSeen("udp", "0.0.0.0", "255.255.255.255", 68, SERVER_PORT)
#: How late the offer came, in seconds, where one was waited for; None where none came. Nobody waits so long again.
_waited_for: WeakKeyDictionary[Target, float | None] = WeakKeyDictionary()
START_ONE = "start the LAN's DHCP server, or give the guest a static address"


def _unanswered(failure: Failure) -> FramePath | None:
    """How far the request got, where it has left this host and brought nothing."""
    path = search.incomplete_path(failure) if failure.on_lan and failure.guest else None
    return path if path and path.unanswered and path.exchange.question == DHCP else None


def spoilt_on_the_way(failure: Failure) -> Obstacle | None:
    """Offers that come to the guest and that it does not take."""
    if failure.guest is None or not failure.on_lan or lease_now(failure.guest):
        return None
    seen = checksums_of_offers(failure.guest)
    # A guest that has asked for what it was offered has taken the offer: QEMU tells it which checksums are unfinished.
    if not seen or "right" in seen or "request" in dhcp_messages(failure.guest):
        return None
    how = "a wrong UDP checksum" if "wrong" in seen else "an unfinished UDP checksum (left to hardware it never met)"
    return Obstacle(
        f"the DHCP server's answers, {len(seen)} of them, come to the guest's NIC with {how}: the guest drops them",
        "sudo ethtool -K INTERFACE tx off where the server is, and take away what rewrites packets on their way",
    )


def own_server_kept_out(failure: Failure) -> Obstacle | None:
    """A DHCP server on this host itself, behind this host's own firewall."""
    path = search.incomplete_path(failure) if failure.on_lan else None
    host, bridge = failure.target.host, failure.target.bridge
    if path is None or path.complete or path.exchange.question != DHCP:
        return None
    # One that hears every interface may serve another network than this.
    if not any(server.link == bridge for server in listeners(host.ask)):
        return None
    counted = {key: more for key, more in path.counted.items() if isinstance(key, tuple)}
    ruleset = nft_ruleset.read(host.ask) or Ruleset()
    found = [
        stop
        for stop in ruleset.stops(REQUEST.at(bridge, None), counted)
        if stop.hook in ("prerouting", "input") and stop.family in ("ip", "inet", "bridge")
    ]
    # A request that never came to the bridge was not for this server to answer.
    if path.gap and not (found and found[0].certain):
        return None
    serves = f"this host serves DHCP itself (a program listens at UDP port {SERVER_PORT} of {bridge})"
    if found and found[0].certain:
        kept_by = found[0].obstacle
        return Obstacle(f"{serves} and its own firewall keeps requests from it: {kept_by.reason}", kept_by.remedy)
    return Obstacle(f"{serves} and answers nothing: see its log, and whether its own firewall lets requests in",
                 AS_ROOT if path.unheard else "sudo nft list ruleset")  # fmt: skip


def slow_server(failure: Failure) -> Obstacle | None:
    """An offer that comes when nobody waits for it any more."""
    guest = failure.guest
    if guest is None or not failure.on_lan:
        return None
    waiting = _unanswered(failure) is not None
    if waiting and failure.target not in _waited_for and _may_be_late(failure):
        _wait_for_late_offer(guest)
        _waited_for[failure.target] = seconds_to_offer(guest)
    delay_seconds, of_whom = seconds_to_offer(guest), "the guest's first request"
    if delay_seconds is None and waiting:
        delay_seconds, of_whom = _waited_for.get(failure.target), "the first request of a guest before this one"
    # On a busy machine a server that runs on it is late as everything is, but not as late as that.
    if delay_seconds is None or delay_seconds < min(SLOW_SECONDS * timeouts.crowding(), SURELY_SLOW_SECONDS):
        return None
    return Obstacle(
        f"the DHCP server answers only {delay_seconds:.0f} s after {of_whom}: few clients wait so long",
        "make the DHCP server faster (its log, its load, a relay on the way), or give the guest a static address",
    )


def not_confirmed(failure: Failure) -> Obstacle | None:
    """A server that offers an address and does not give it: two servers at odds, or one whose settings are."""
    guest = failure.guest
    if guest is None or not failure.on_lan or lease_now(guest):
        return None
    seen, offered = dhcp_messages(guest), next(told_by_dhcp(guest, "offer"), None)
    if offered is None or "ack" in seen or seen.count("request") < FEWEST_REQUESTS:
        return None
    server = offered.get("server_id", "there")
    refusing = " and ".join(sorted({each.get("server_id", server) for each in told_by_dhcp(guest, "nak")}))
    answer = f"{refusing} refuses that (DHCPNAK)" if refusing else "no answer to that comes"
    return Obstacle(
        f"the DHCP server {server} offers {offered['address']}, the guest asks for it, {seen.count('request')} times, "
        f"and {answer}",
        f"see in the log of {refusing or server} why: a range that is not of this network, a lease that it cannot "
        "write down, or another server's offer",
    )


def _may_be_late(failure: Failure) -> bool:
    """Whether anything lets us think of a server that has not answered yet: to wait for it takes long.

    One that answers this host's request with the guest's MAC in it is not slow, one that tells this host about the
    network and offers nothing may be. Where nothing is said, or may not be asked, whoever is known to serve the network
    has a server, unless his kernel says that no program of his takes requests.
    """
    answers = _answers(failure)
    if answers.offering or answers.informing:
        return not answers.offering
    host = failure.target.host
    known = {gateway_over(host, failure.target.bridge)} - {None}
    with suppress(Unavailable):
        known.add(failure.target.lan.server)
    return not known or not all(refuses_requests(host, address) for address in known if address)


def _answers(failure: Failure) -> AnswersToHost:
    """What this host is answered that asks on the LAN itself, once for each failure."""
    return _asked(failure, id(failure.error))


@functools.lru_cache(maxsize=1)
def _asked(failure: Failure, _: int) -> AnswersToHost:
    path = _unanswered(failure)
    if path is None or path.unheard or failure.guest is None:
        return AnswersToHost()
    host = failure.target.host
    own = addresses(host, failure.target.bridge)
    return answers_to_host(host, path.places[-1], failure.guest.macs[0], str(own[0].ip) if own else None)


def _wait_for_late_offer(guest: Guest) -> None:
    """However busy the machine is: a server's delay is its own, and the guest asks all the time."""
    left_seconds = ENOUGH_SECONDS - asking_seconds(guest)
    waiting = Deadline(max(left_seconds, 0.0), "a late offer")
    waiting.sees(
        lambda: "offer" in dhcp_messages(guest) or asking_seconds(guest) >= ENOUGH_SECONDS, interval_seconds=0.2
    )


def tagged(failure: Failure) -> Obstacle | None:
    """A switch port that is a trunk: what comes in bears a VLAN's tag, and the guest's frames bear none."""
    path = _unanswered(failure)
    if path is None or not path.tags:
        return None
    last, vlans = path.places[-1], ", ".join(map(str, path.tags))
    return Obstacle(
        f"frames come in at {last} with the tag of VLAN {vlans}, and the guest's leave without one: the switch port is "
        "a trunk, and nobody offers anything in the network of those without a tag",
        f"where the LAN is that VLAN, put its interface into the bridge in place of {last}: sudo ip link add link "
        f"{last} name {last}.{path.tags[0]} type vlan id {path.tags[0]}",
    )


def macs_filtered(failure: Failure) -> Obstacle | None:
    """A switch that drops whatever does not bear the address of the machine at its port."""
    path = _unanswered(failure)
    if path is None or path.unheard or failure.guest is None:
        return None
    uplink = path.places[-1]
    if not _answers(failure).offering:
        return None
    # A guest that is answered now was only not answered in time.
    if search.answered_after_all(failure):
        return None
    return Obstacle(
        f"what is behind {uplink} admits no other MAC address than {uplink}'s own: the same DHCP request brought an "
        "offer with that address on the frame, and none with the guest's",
        "let the port of the (virtual) switch admit guests: promiscuous mode, forged transmits and MAC changes, or "
        "no port security; else use user mode",
    )


def server_declines(failure: Failure) -> Obstacle | None:
    """A server that is there and has nothing for this guest."""
    path = _unanswered(failure)
    server = _answers(failure).informing
    if path is None or failure.guest is None or server is None or search.answered_after_all(failure):
        return None
    return Obstacle(
        f"the DHCP server {server} answers this host and offers the guest nothing: it has no address left, or none for "
        f"{failure.guest.macs[0]}",
        f"see the log of {server}; give it a wider range or shorter leases, or admit that MAC address",
    )


def no_server(failure: Failure) -> Obstacle | None:
    """The guest asks and nobody offers."""
    path = _unanswered(failure)
    seen = dhcp_messages(failure.guest) if path and failure.guest else []
    if path is None or failure.guest is None or "discover" not in seen or "offer" in seen:
        return None
    if path.thrown_away_at_last >= path.asked[-1]:
        return None  # whether a server would answer is not known: nothing has left
    seconds = asking_seconds(failure.guest)
    prefixes = announced_prefixes(failure.guest)
    by_ipv6 = f"; a router there announces {', '.join(prefixes)}: the LAN may speak IPv6 alone" if prefixes else ""
    log = f"; if one runs, see in its log what it has against {failure.guest.macs[0]}" if path.unheard else ""
    return Obstacle(
        f"no DHCP server answers on the LAN behind {failure.target.bridge}: the guest asked {seen.count('discover')} "
        f"times in {seconds:.0f} s, its frames leave the host at {path.places[-1]}, and no offer came in there"
        f"{by_ipv6}",
        f"{START_ONE}{log}",
    )
