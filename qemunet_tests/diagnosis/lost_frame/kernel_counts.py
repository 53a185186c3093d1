"""Causes that the host's kernel itself counts, whoever asks."""

from qemunet_tests.diagnosis.failure import Failure
from qemunet_tests.diagnosis.lost_frame import search
from qemunet_tests.host.obstacle import Obstacle

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


def dropped(scene: Failure) -> Obstacle | None:
    """A counter of losses that has risen while the question was put."""
    trail = search.trail_of(scene)
    if trail is None:
        return None
    for drop in trail.dropped:
        if drop.counter in MEANINGS:
            reason, remedy = MEANINGS[drop.counter]
            return Obstacle(
                f"{reason}: while it was asked ({trail.exchange.question}) the kernel counted {drop}", remedy
            )
    return None
