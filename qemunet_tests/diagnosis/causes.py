"""What is checked for which claim, and in which order."""

import functools
import re
from collections.abc import Callable, Mapping
from weakref import WeakKeyDictionary

from qemunet_tests.claims import Claim
from qemunet_tests.diagnosis import bridge_helper, dhcp, launch, name_service, netplan
from qemunet_tests.diagnosis.failure import Failure
from qemunet_tests.diagnosis.lost_frame import (
    bridge_frames,
    bulk_data,
    dead_hop,
    guest_side,
    host_side,
    kernel_causes,
    lan_side,
    marked,
    qemu_itself,
    rewritten,
    routes,
    search,
    slirp_side,
    where_lost,
)
from qemunet_tests.errors import Unavailable
from qemunet_tests.host.obstacle import Obstacle
from qemunet_tests.network.target import Target
from qemunet_tests.observe.lease import NoLease
from qemunet_tests.qemu.command_line import NetdevRefused

#: Looks at one thing and returns a cause only where it has proof.
CauseCheck = Callable[[Failure], Obstacle | None]

#: What keeps the bridge helper from handing out a tap, except for its access list.
HELPER: tuple[CauseCheck, ...] = (
    launch.helper_missing,
    bridge_helper.reads_another_list,
    bridge_helper.no_tun,
    bridge_helper.powerless,
)

#: What a helper says of itself, and QEMU of one that it could not start.
OF_THE_HELPER = re.compile(r"helper|acl file|tun device|failed to drop privileges")


def _where_helper_failed(check: CauseCheck) -> CauseCheck:
    """The same for claims that are not about the helper: one that did its work, or was not called, is no cause."""

    @functools.wraps(check)
    def checked(failure: Failure) -> Obstacle | None:
        failed = isinstance(failure.error, NetdevRefused) and OF_THE_HELPER.search(str(failure.error))
        return check(failure) if failed else None

    return checked


WHERE_HELPER_FAILED = tuple(map(_where_helper_failed, (*HELPER, launch.bridge_not_allowed)))

#: From the guest outwards, as a frame travels: the first thing that is wrong stops everything behind it.
PATH: tuple[CauseCheck, ...] = (
    launch.port_taken,
    *WHERE_HELPER_FAILED,
    launch.refused,
    launch.started_otherwise,
    guest_side.unplugged,
    qemu_itself.gives_no_lease,
    qemu_itself.tells_otherwise,
    host_side.bridge_down,
    host_side.no_uplink,
    host_side.uplink_dead,
    host_side.tap_elsewhere,
    lan_side.leased_hosts_address,
    bridge_frames.spanning_tree,
    host_side.mac_not_unique,
    host_side.mac_elsewhere,
    routes.no_way,
    routes.taken_by_this_host,
    routes.by_another_link,
    marked.led_astray,
    routes.behind_own_network,
    routes.answers_refused,
    routes.same_network,
    routes.address_on_port,
    dead_hop.handed_to_a_dead_hop,
    routes.wrong_neighbour,
    routes.from_another_network,
    routes.by_way_of_nobody,
    dhcp.own_server_kept_out,
    where_lost.lost_here,
    where_lost.hidden,
    rewritten.sent_as_another,
    where_lost.host_silent,
    kernel_causes.dropped,
    qemu_itself.gives_nothing_back,
    where_lost.answer_lost,
    bridge_frames.filtered,
    dhcp.spoilt_on_the_way,
    dhcp.slow_server,
    dhcp.not_confirmed,
    dhcp.macs_filtered,
    dhcp.server_declines,
    dhcp.tagged,
    dhcp.no_server,
)

#: What a DHCP server says wrongly to who has to send something out of the LAN.
ROUTER: tuple[CauseCheck, ...] = (lan_side.router_named_otherwise, lan_side.network_told_otherwise)

#: When all else is said: the question left this host, or nobody may see whether it did.
LAST: tuple[CauseCheck, ...] = (
    qemu_itself.addresses_otherwise,
    qemu_itself.answers_no_ping,
    qemu_itself.passes_nothing_on,
    qemu_itself.asks_its_own_resolver,
    qemu_itself.tells_of_other_hops,
    where_lost.host_silent_somehow,
    where_lost.lost_somewhere,
    where_lost.unanswered,
    where_lost.unseen,
)

#: What else a claim may suffer from, by the words of `diagnosis` in its TOML table. The words are read from here.
SPECIAL: dict[str, tuple[CauseCheck, ...]] = {
    "acl": (*HELPER, launch.bridge_not_allowed, launch.unlisted_allowed),
    "acl-refusal": HELPER,
    "helper": (launch.helper_missing,),
    "helper-privilege": (*HELPER, launch.bridge_not_allowed),
    "lease": (*PATH, lan_side.other_dhcp_server, lan_side.address_taken),
    # With whom a bridged guest has to do: a neighbour, somebody outside, its gateway, its host, or who calls it.
    "bridge-lan": (*PATH, lan_side.neighbour_unreachable, lan_side.network_told_otherwise),
    "bridge-outside": (*PATH, *ROUTER, lan_side.outside_unreachable),
    "bridge-gateway": (*PATH, *ROUTER),
    "bridge-host": (*PATH, guest_side.ignores_ping),
    "called": (*PATH, lan_side.caller_unreachable, guest_side.address_gone),
    "pinged": (*PATH, lan_side.caller_unreachable, guest_side.address_gone, guest_side.ignores_ping),
    # By which packets, where not by all: search.PACKETS.
    "tcp": (),
    "udp": (),
    "echo": (),
    "large": (host_side.small_mtu,),
    "other-protocols": (),
    # Where it is called, if not at what its test has put up: search.called_port.
    "ssh": (),
    "netplan": (
        netplan.interface_named_otherwise,
        netplan.networkd_not_done,
        *WHERE_HELPER_FAILED,
        launch.refused,
    ),
    "spanning-tree": (bridge_frames.no_spanning_tree, *PATH),
    "privilege": (launch.privileged, *PATH, lan_side.outside_unreachable),
    "ping": (*PATH, launch.privileged, slirp_side.ping_gate_open, slirp_side.nobody_answers_ping),
    "ping-open": (*PATH, slirp_side.nobody_answers_ping),
    # Where the host lets QEMU ping, what the guest asks leaves it as it is, and is followed.
    "ping-outside": (),
    "hops": (*PATH, slirp_side.expiry_untold),
    "last-hop": (slirp_side.closed_port_untold,),
    "bulk": (*PATH, bulk_data.held_up),
    "localhost": (slirp_side.localhost_elsewhere,),
    "port-forward": (
        *PATH,
        slirp_side.forward_translated,
        guest_side.forward_elsewhere,
        slirp_side.loopback_kept_out,
    ),
    "called-from-lan": (slirp_side.lan_kept_out,),
    "loopback": (*PATH, slirp_side.loopback_down),
    "smb": (*PATH, slirp_side.loopback_down, slirp_side.own_name_unknown),
    "reach": (*PATH, lan_side.outside_unreachable),
    "reach-lan": (*PATH, lan_side.lan_unreachable),
    "resolver": (
        name_service.no_resolver,
        name_service.refuses,
        *PATH,
        name_service.silent,
        name_service.known_elsewhere,
    ),
    "not-reachable": (*PATH, launch.forwards),
}


#: What was found last, by whom it was found at and for what.
_found: WeakKeyDictionary[Target, dict[object, CauseCheck]] = WeakKeyDictionary()
#: Topics of claims that come down to the same questions where they have the same topics.
ALIKE = frozenset(("resolver", "bridge-gateway", "called", "pinged", *search.SERVICES))


def cause_of(claim: Claim, fixtures: Mapping[str, object], error: BaseException) -> Obstacle | None:
    """The first cause that can be proven; None where none can. `fixtures` are those of the test, still alive."""
    failure = Failure.of(claim.mode, fixtures, error, claim.diagnosis)
    if failure is None:
        return None
    special = dict.fromkeys(check for word in claim.diagnosis for check in SPECIAL[word])
    checks = (*(special or PATH), *LAST)
    kind, found = _kind_of(failure), _found.setdefault(failure.target, {})
    before = found.get(kind)
    ordered = (before, *(each for each in checks if each is not before)) if before in checks else checks
    for check in ordered:
        if cause := _proven(check, failure):
            if kind is not None:
                found[kind] = check
            return cause
    return None


def _kind_of(failure: Failure) -> object:
    """What broke alike has one cause, most likely, which is looked at first; None where nothing has to be alike.

    What kept one claim's guest from its lease keeps the next one's from it, whatever that claim is about.
    """
    if isinstance(failure.error, NoLease):
        return NoLease
    refused = isinstance(failure.error, NetdevRefused)
    return None if refused or ALIKE.isdisjoint(failure.topics) else (failure.mode, failure.topics)


def _proven(check: CauseCheck, failure: Failure) -> Obstacle | None:
    try:
        found = check(failure)
    except Unavailable:  # what a real host does not let us know
        return None
    finder = f"{check.__module__.rpartition('.')[2]}.{check.__name__}"
    return found.found_by(finder) if found else None
