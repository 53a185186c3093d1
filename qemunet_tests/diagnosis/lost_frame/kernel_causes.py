"""Causes that the host's kernel itself counts, whoever asks: believed only of what does not rise when nobody does."""

from qemunet_tests.deadline import Deadline
from qemunet_tests.diagnosis.failure import Failure
from qemunet_tests.diagnosis.lost_frame import search
from qemunet_tests.diagnosis.lost_frame.frame_path import FramePath
from qemunet_tests.diagnosis.lost_frame.kernel_counters import Drop, counters, risen
from qemunet_tests.host import ipsec
from qemunet_tests.host.obstacle import Obstacle
from qemunet_tests.host.route_lookup import PacketWay, way
from qemunet_tests.observe.lease import lease_now

#: What the kernel calls its counters of what IPsec has dropped.
IPSEC = "Xfrm"
#: What is dropped now and then all the time, as noise of the LAN is, is dropped in so many seconds of silence as well.
SILENCE_SECONDS = 3.0
#: A table that is full takes nobody's new entries: that others' are refused as well proves nothing against it.
OF_FULL_TABLES = ("nf_conntrack.drop", "arp_cache.table_fulls")

#: What a counter that has risen while a packet was lost means, and what helps.
MEANINGS = {
    "TcpExt.IPReversePathFilter": (
        "the host's reverse path filter drops the answers: they come in at another interface than the one by which it "
        "would send to their sender",
        "sudo sysctl -w net.ipv4.conf.all.rp_filter=2 (or mend the routes, see: ip route get)",
    ),
    "nf_conntrack.drop": (
        "the host tracks more connections than its table holds, and drops packets of new ones",
        "sudo sysctl -w net.netfilter.nf_conntrack_max=262144",
    ),
    "arp_cache.table_fulls": (
        "the host's table of neighbours is full",
        "sudo sysctl -w net.ipv4.neigh.default.gc_thresh3=8192 net.ipv4.neigh.default.gc_thresh2=4096",
    ),
    "Udp.RcvbufErrors": ("programs of the host do not take their datagrams in time", "see what keeps the host busy"),
    "Ip.OutNoRoutes": ("the host has no route for what it is to send", "see: ip route, ip rule"),
}


def dropped(failure: Failure) -> Obstacle | None:
    """A counter of losses that has risen while the question was put, and does not where none is."""
    path = search.incomplete_path(failure)
    known = (
        [each for each in path.dropped if _means_something(each) and _may_be_ours(failure, path, each)] if path else []
    )
    if path is None or not known:
        return None
    noise = _rising_anyway(failure, {drop.counter for drop in known} - {*OF_FULL_TABLES})
    for drop in known:
        # A policy that is about this packet is evidence enough, whatever else it takes.
        if drop.counter.startswith(IPSEC) and (taken := _taken_by_ipsec(failure, path, drop)):
            return taken
        if drop.counter in noise:
            continue
        if drop.counter.startswith(IPSEC):
            counted = f"while it was asked ({path.exchange.question}) the kernel counted {drop}"
            return Obstacle(f"a policy of IPsec on this host drops it: {counted}", "see which: sudo ip xfrm policy")
        reason, remedy = MEANINGS[drop.counter]
        return Obstacle(f"{reason}: while it was asked ({path.exchange.question}) the kernel counted {drop}", remedy)
    return None


def _means_something(drop: Drop) -> bool:
    return drop.counter.startswith(IPSEC) or drop.counter in MEANINGS


def _may_be_ours(failure: Failure, path: FramePath, drop: Drop) -> bool:
    """Whether the packet that was followed meets what counts there at all.

    What a bridge passes on from one port to another does not meet the host's own IP, but for the table of connections
    where br_netfilter is on; and only a datagram for a program of this host, QEMU among them, waits for one.
    """
    if drop.counter == "Udp.RcvbufErrors":
        return path.exchange.asked.protocol == "udp" and (path.exchange.to_host or not failure.on_lan)
    bridge = failure.bridge() if failure.on_lan and not path.exchange.to_host else None
    if bridge is None or not all(bridge.port(place) for place in path.places[1:]):
        return True
    return drop.counter == "nf_conntrack.drop" and bridge.filters_ipv4


def _rising_anyway(failure: Failure, names: set[str]) -> set[str]:
    """Those of the counters that rise while nothing is asked: they count others' packets."""
    station = failure.bench.station
    before, seen = counters(station, ()), set[str]()

    def all_rise() -> bool:
        seen.update(names & {drop.counter for drop in risen(before, counters(station, ()))})
        return seen == names

    Deadline(SILENCE_SECONDS, "what others send").sees(all_rise, interval_seconds=0.2)
    return seen


def _sent_to(failure: Failure, path: FramePath) -> str | None:
    """Whom this host sends to: who is asked; where it is this host itself, the guest that it answers."""
    if not path.exchange.to_host:
        return path.exchange.asked.destination
    got = lease_now(failure.guest) if failure.guest else None
    return got.address if got else None


def _taken_by_ipsec(failure: Failure, path: FramePath, drop: Drop) -> Obstacle | None:
    """A policy takes packets before the interface of any route sees them: no route and no capture shows it."""
    host, address = failure.target.host, _sent_to(failure, path)
    out = way(host.ask, address, failure.bench.identity.uid) if address else None
    source = out.source if isinstance(out, PacketWay) else None
    # Only root is told.
    known = ipsec.read(host.ask) or ()
    found = [each for each in known if source and address and each.takes(source, address)]
    counted = f"while it was asked ({path.exchange.question}) the kernel counted {drop}"
    if not found:
        return None
    wants = "drops it" if found[0].blocks else f"wants it encrypted for {found[0].peer}, and there are no keys for that"
    return Obstacle(
        f"a policy of IPsec on this host ({found[0].spelled}) takes what it sends to {address} and {wants}: {counted}",
        f"sudo ip xfrm policy delete {found[0].spelled}; the VPN that it belongs to sets it again at its next start: "
        "start that, so that there are keys, or end it for good",
    )
