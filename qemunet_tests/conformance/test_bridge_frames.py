"""Frames between a bridged peer and the LAN: peers, and no guest."""

import pytest

from qemunet_tests.deadline import Deadline
from qemunet_tests.errors import ControlFailed
from qemunet_tests.guest.peer_frames import frame_of
from qemunet_tests.modes.bridge import netdev
from qemunet_tests.network import lab_addresses
from qemunet_tests.observe.arp import answered_for, who_has
from qemunet_tests.observe.bridge import link_says, ports_of_mac
from qemunet_tests.observe.carried_frames import BROADCAST, MULTICAST, passed_kinds
from qemunet_tests.observe.flood import flooding
from qemunet_tests.observe.frame_sockets import frames_at
from qemunet_tests.observe.lease import offer
from qemunet_tests.observe.process import tap_held_by

# On a host, until its operator has named a bridge, nothing of this mode is tried.
pytestmark = pytest.mark.usefixtures("named_bridge")

KINDS = {"broadcast": BROADCAST, "multicast": MULTICAST}
#: Nobody of the lab has them; the second is the peer's own.
UNUSED, OWN = "192.168.1.77", "192.168.1.78"
#: As e1000 is given it, which nobody else has.
SILENT_MAC = "52:54:00:70:65:5a"
OTHER_MAC = "52:54:00:70:65:f1"
#: Frames that have passed the bridge before anybody asks, and how long they may take.
FLOOD, FLOOD_SECONDS = 2000, 20.0
#: So often a lease is asked for, until something of the flood was sent meanwhile.
QUESTIONS = 5


@pytest.mark.claim("bridge/broadcast-multicast")
def test_what_is_for_all_passes_both_ways(attach_peer, lab, claim):
    peer, other_mac = attach_peer(netdev(lab_addresses.BRIDGE)), link_says(lab.neighbour, "eth0", "address")
    with frames_at(lab.neighbour, "eth0") as neighbour:
        passed = passed_kinds(peer, neighbour, KINDS, other_mac)
    claim.sees(", ".join(f"{' and '.join(kinds) or 'nothing'} {way}" for way, kinds in passed.items()))
    assert claim.observed == claim.expected, f"of frames for all and for a group there pass {claim.observed}"


@pytest.mark.claim("bridge/arp-of-host")
def test_everybody_answers_for_himself(attach_peer, lab, claim):
    peer = attach_peer(netdev(lab_addresses.BRIDGE))
    stations = {
        "the host": (lab_addresses.HOST, link_says(lab.host, lab_addresses.BRIDGE, "address")),
        "the neighbour": (lab_addresses.NEIGHBOUR, link_says(lab.neighbour, "eth0", "address")),
        "the router": (lab_addresses.ROUTER, link_says(lab.router, "lan0", "address")),
    }
    nobodys = answered_for(peer, [UNUSED], lab_addresses.HOST, OWN)
    answers = {who: who_has(peer, address, 3.0) for who, (address, _) in stations.items()}
    rightly = [who for who, answer in answers.items() if answer and answer.mac == stations[who][1]]
    claim.sees(f"{', '.join(rightly) or 'nobody'} for itself, {'somebody' if nobodys else 'nobody'} for {UNUSED}")
    assert claim.observed == claim.expected, f"of the LAN's addresses: {claim.observed}"


@pytest.mark.claim("bridge/announce")
def test_a_bridge_learns_who_announces_himself(halted, lab, claim):
    chosen = netdev(lab_addresses.BRIDGE)
    nic = ("-device", f"e1000,netdev=net0,mac={SILENT_MAC},romfile=")
    qemu = halted("-M", "pc", "-netdev", chosen.spell("net0"), *nic, netdevs=[chosen])
    if not (tap := tap_held_by(qemu)):
        raise ControlFailed("QEMU holds no tap open behind which anybody could be")
    before = ports_of_mac(lab.host, lab_addresses.BRIDGE, SILENT_MAC, 0.2)
    # What stands still sends nothing. The machine has no disk and no ROM that could.
    qemu.monitor.execute("cont")
    qemu.monitor.execute("announce-self", initial=20, max=20, rounds=5, step=0)
    after = ports_of_mac(lab.host, lab_addresses.BRIDGE, SILENT_MAC)
    places = [
        {frozenset(): "no port", frozenset({tap}): "its tap"}.get(frozenset(ports), " and ".join(sorted(ports)))
        for ports in (before, after)
    ]
    claim.sees("behind {} before, behind {} after".format(*places))
    assert claim.observed == claim.expected, f"the bridge has the guest {claim.observed}"


@pytest.mark.claim("bridge/flood")
def test_who_floods_a_port_keeps_nobody_from_a_lease(attach_peer, lab, target, claim):
    flooder, other = (attach_peer(netdev(lab_addresses.BRIDGE)) for _ in range(2))
    other.mac = OTHER_MAC
    frame = frame_of(flooder.mac, link_says(lab.neighbour, "eth0", "address"), 60)
    before, alone = frames_in(lab.neighbour), offer(other)
    if alone is None:
        raise ControlFailed("without a flood nothing is offered either")
    with flooding(flooder, frame) as sent:
        Deadline(FLOOD_SECONDS, "the flood").wait_until(lambda: frames_in(lab.neighbour) - before > FLOOD)
        # A sender that got no CPU meanwhile has not flooded anybody.
        for _ in range(QUESTIONS):
            begun = sent()
            given = offer(other)
            if sent() > begun:
                break
        else:
            raise ControlFailed("nothing was sent while anybody was asked for a lease")
    claim.sees("an address of the LAN" if given and target.lan.leases(given.address) else "nothing")
    assert claim.observed == claim.expected, f"beside a flood there is offered {claim.observed}"


def frames_in(station):
    """How many frames have come in at a station."""
    return link_says(station, "eth0", "stats64")["rx_packets"]
