"""What every mode promises: an address, a network, a way out. Each row is the promise of one mode, and bears its claim.

What the network of a mode is like is asked of the mode (`network`): in user mode it is the same on every host.

Modes that join two ends carry frames between them: peers at both ends of a wire, and no guest.
"""

import re
import socket

import pytest

from qemunet_tests import modes
from qemunet_tests.conformance.promises import promise
from qemunet_tests.guest.peer_frames import frame_of
from qemunet_tests.network import lab_addresses
from qemunet_tests.observe.backends import said_of
from qemunet_tests.observe.carried_frames import (
    BROADCAST,
    exchanged,
    fate,
    fates,
    heard,
    kinds_of_frames,
    numbered,
    passes,
    received,
    sizes_of_frames,
    tagged,
)
from qemunet_tests.observe.frame_sockets import handed_over, member_of
from qemunet_tests.observe.lease import lease_of
from qemunet_tests.observe.nic import driver
from qemunet_tests.observe.reach import echoes
from qemunet_tests.observe.tcp import bulk
from qemunet_tests.qemu.command_line import SANDBOX
from qemunet_tests.qemu.netdev import SpelledNetdev


@pytest.mark.parametrize(
    "told",
    [
        promise("user/address", "interface"),
        promise("bridge/lease-address", "address"),
        promise("passt/guest-address", "interface"),
    ],
)
def test_dhcp_gives_an_address_of_the_network(guest, network, claim, told):
    claim.expects(network.pool)
    given = claim.sees(getattr(lease_of(guest), told))
    assert network.leases(given), f"{given} is no address that the network gives"


@pytest.mark.parametrize(
    "who",
    [
        promise("user/gateway", "gateway"),
        promise("user/dns-offered", "resolver"),
        promise("bridge/lease-gateway", "gateway"),
        promise("bridge/lease-dns", "resolver"),
        promise("bridge/lease-server", "server"),
    ],
)
def test_the_lease_names_who_serves_the_network(guest, network, claim, who):
    claim.expects(getattr(network, who))
    named = claim.sees(getattr(lease_of(guest), who))
    assert named == claim.expected, f"the lease names {named or 'nobody'} as {who}, and that is {claim.expected}"


@pytest.mark.parametrize("nic_model", ["e1000"])
@pytest.mark.parametrize("told", [promise("user/e1000", "interface"), promise("bridge/e1000", "address")])
def test_the_documented_nic_works(guest, network, claim, nic_model, told):
    claim.expects(f"{nic_model} {network.pool}")
    address = getattr(lease_of(guest), told)
    claim.sees(f"{driver(guest)} {address}")
    assert driver(guest) == nic_model
    assert network.leases(address), f"{address} is no address that the network gives"


@pytest.mark.parametrize(
    ("place", "protocols"),
    [
        promise("user/reach-lan-tcp", "neighbour_echo", ("TCP",)),
        promise("user/reach-lan-udp", "neighbour_echo", ("UDP",)),
        promise("user/reach-outside-tcp", "outside_echo", ("TCP",)),
        promise("user/reach-outside-udp", "outside_echo", ("UDP",)),
        promise("bridge/reach-lan", "neighbour_echo", None),
        promise("bridge/reach-outside", "outside_echo", None),
        promise("passt/reach-lan", "neighbour_echo", ("TCP", "UDP")),
        promise("passt/reach-outside", "outside_echo", ("TCP", "UDP")),
    ],
)
def test_the_guest_reaches_others(leased_guest, target, claim, place, protocols):
    """By these protocols; without any, by all that the service speaks."""
    service = getattr(target, place)
    asked = [protocol for protocol in protocols or service.protocols if service.by(protocol)]
    answered = [protocol for protocol in asked if echoes(leased_guest, protocol, service)]
    claim.sees(f"{service} {'answers' if answered else 'does not answer'} by {' and '.join(answered or asked)}")
    silent = [protocol for protocol in asked if protocol not in answered]
    assert not silent, f"{service} does not send back what the guest says by {' and '.join(silent)}"


@pytest.mark.lengthy
@pytest.mark.parametrize(
    "size_bytes",
    [
        promise("user/bulk-both-ways", 10 * 1024 * 1024),
        promise("bridge/bulk-both-ways", 1024 * 1024),
        promise("passt/bulk-both-ways", 1024 * 1024),
    ],
)
def test_bulk_data_passes_both_ways(leased_guest, target, claim, size_bytes):
    transfer = claim.sees(bulk(leased_guest, target.neighbour_echo.by("TCP"), size_bytes))
    assert transfer.intact, str(transfer)


#: As many frames in a row as a socket of datagrams holds while nobody takes any: net.unix.max_dgram_qlen.
IN_A_ROW, ROWS = 8, 6
#: Of two ends in one QEMU the near one is made last.
NEAR_END = "net1"
#: Of RFC 2365: nobody forwards it.
GROUP = "239.192.0.7"


def wrong(became):
    """What became of the frames that are not whole, in words."""
    return "; ".join(f"{which} {what}" for which, what in became.items() if what != "whole")


def as_asked(said, words):
    """What the monitor says, with `<asked>` for ports, paths and names that QEMU was started with."""
    spelled = next(word for word in words if f"id={NEAR_END}," in word)
    for value in re.findall(r"[=:](\d{4,5}|/[^,]+|ready\d+)(?=,|$)", spelled):
        said = said.replace(value, "<asked>")
    # That no script is run is said in two ways.
    said = re.sub(r",(down)?script=(no)?(?=,|$)", "", said)
    return re.sub(r"fd=\d+", "fd=N", said)


@pytest.mark.parametrize(
    "mode",
    [
        promise("tap/frames-whole", "tap"),
        promise("stream/inet-server-client", "stream"),
        promise("dgram/inet", "dgram"),
        promise("socket/listen-connect", "socket"),
        promise("vde/switch", "vde"),
        promise("l2tpv3/udp", "l2tpv3"),
    ],
)
def test_two_qemus_hear_each_other(ends_of_two, mode, claim):
    near, far = ends_of_two
    sizes = sizes_of_frames(modes.every()[mode].largest_frame_bytes)
    ways = {"to the far one": (near, far), "to the near one": (far, near)}
    became = {
        f"{size} bytes {way}": fate(sender, receiver, frame_of(sender.mac, receiver.mac, size))
        for way, (sender, receiver) in ways.items()
        for size in sizes
    }
    claim.sees(wrong(became) or f"frames of {', '.join(map(str, sizes[:-1]))} and {sizes[-1]} bytes, both ways")
    assert claim.observed == claim.expected, f"of the frames from one QEMU to the other: {claim.observed}"


@pytest.mark.parametrize(
    (),
    [
        promise("tap/any-frame"),
        promise("stream/any-frame"),
        promise("dgram/any-frame"),
        promise("socket/any-frame"),
        promise("hubport/any-frame"),
        promise("vde/any-frame"),
        promise("l2tpv3/any-frame"),
    ],
)
def test_whatever_a_frame_holds_it_is_carried(ends, claim):
    near, far = ends
    kinds = kinds_of_frames(near.mac, far.mac)
    became = fates(near, far, {kind: kinds[kind] for kind in claim.expected.split(", ")})
    claim.sees(wrong(became) or ", ".join(became))
    assert claim.observed == claim.expected, f"of the frames from one end to the other: {claim.observed}"


@pytest.mark.parametrize(
    (),
    [
        promise("tap/vlan-tags"),
        promise("stream/vlan-tags"),
        promise("dgram/vlan-tags"),
        promise("socket/vlan-tags"),
        promise("hubport/vlan-tags"),
        promise("l2tpv3/vlan-tags"),
        promise("bridge/vlan-tagged"),
    ],
)
def test_vlan_tags_are_carried(ends, claim):
    near, far = ends
    became = {str(vlan): fate(near, far, tagged(near.mac, far.mac, vlan)) for vlan in (1, 100, 4094)}
    claim.sees(wrong(became) or f"VLANs {', '.join(became)}")
    assert claim.observed == claim.expected, f"of the frames with VLAN tags: {claim.observed}"


@pytest.mark.parametrize(
    (),
    [
        promise("tap/in-order"),
        promise("stream/in-order"),
        promise("dgram/in-order"),
        promise("socket/in-order"),
        promise("hubport/in-order"),
        promise("vde/in-order"),
        promise("l2tpv3/in-order"),
    ],
)
def test_frames_come_in_their_order_and_once(ends, claim):
    near, far = ends
    sent, got = numbered(near, far, ROWS * IN_A_ROW), []
    for row in range(0, len(sent), IN_A_ROW):
        for frame in sent[row : row + IN_A_ROW]:
            near.wire.put(frame)
        got += received(far, near.mac, IN_A_ROW) + received(far, near.mac, IN_A_ROW, 0.02)
    claim.sees(f"{len(got)} frames, {'in order' if got == sent[: len(got)] else 'not in order'}")
    assert claim.observed == claim.expected, f"of {len(sent)} frames there come {claim.observed}"


@pytest.mark.parametrize(
    (),
    [
        promise("tap/link-down"),
        promise("stream/link-down"),
        promise("dgram/link-down"),
        promise("socket/link-down"),
        promise("hubport/link-down"),
        promise("vde/link-down"),
        promise("l2tpv3/link-down"),
    ],
)
def test_a_link_is_taken_down_and_up_by_the_monitor(ends, claim):
    near, far = ends
    near.qemu.monitor.execute("set_link", name=NEAR_END, up=False)
    down = [passes(near, far, 0.3), passes(far, near, 0.3)]
    near.qemu.monitor.execute("set_link", name=NEAR_END, up=True)
    late = received(near, far.mac, 1, 0.1) + received(far, near.mac, 1, 0.1)
    up = [passes(near, far), passes(far, near)]
    claim.sees(f"down: {sum(down)} of 2 frames, later {len(late)}; up: {sum(up)} of 2")
    assert claim.observed == claim.expected, f"frames that pass a link that is {claim.observed}"


@pytest.mark.parametrize(
    (),
    [
        promise("tap/two-backends"),
        promise("stream/two-backends"),
        promise("dgram/two-backends"),
        promise("socket/two-backends"),
        promise("hubport/two-backends"),
        promise("vde/two-backends"),
        promise("l2tpv3/two-backends"),
    ],
)
def test_two_backends_of_one_qemu_are_two_networks(attach_ends, claim):
    one, other_of_one, two, other_of_two = attach_ends(wires=2)
    by_place = {"first": heard(other_of_one, (one, two)), "second": heard(other_of_two, (one, two))}
    claim.sees("; ".join(f"{each} hears {' and '.join(map(str, by)) or 'nobody'}" for each, by in by_place.items()))
    assert claim.observed == claim.expected, f"of two networks the {claim.observed}"


@pytest.mark.parametrize(
    (),
    [
        promise("tap/sandbox"),
        promise("stream/sandbox"),
        promise("dgram/sandbox"),
        promise("socket/sandbox"),
        promise("hubport/sandbox"),
        promise("vde/sandbox"),
        promise("l2tpv3/sandbox"),
    ],
)
def test_the_sandbox_takes_nothing_away(attach_ends, claim):
    near, far = attach_ends(*SANDBOX)
    ways = {"to the far end": passes(near, far), "to the near end": passes(far, near)}
    claim.sees(" and ".join(way for way, did in ways.items() if did) or "no frame")
    assert claim.observed == claim.expected, f"in the sandbox a frame passes {claim.observed}"


@pytest.mark.parametrize(
    (),
    [
        promise("tap/named"),
        promise("stream/named"),
        promise("dgram/named"),
        promise("socket/named"),
        promise("hubport/named"),
        promise("vde/named"),
        promise("l2tpv3/named"),
    ],
)
def test_the_monitor_names_the_backend(ends, claim):
    claim.sees(as_asked(said_of(ends[0], NEAR_END) or "nothing", ends[0].qemu.words))
    assert claim.observed == claim.expected, f"the monitor says of it {claim.observed}"


@pytest.mark.parametrize(
    ("kind", "option"),
    [
        promise("stream/fd", socket.SOCK_STREAM, "server=off,addr.type=fd,addr.str={}"),
        promise("dgram/fd", socket.SOCK_DGRAM, "local.type=fd,local.str={}"),
        promise("socket/fd", socket.SOCK_STREAM, "fd={}"),
    ],
)
def test_a_socket_that_is_open_is_taken(attach_peer, mode, claim, kind, option):
    with handed_over(kind) as (descriptor, end):
        peer = attach_peer(SpelledNetdev(mode, (option.format(descriptor),), descriptors=(descriptor,)))
        claim.sees(exchanged(peer, end, 1514))
    assert claim.observed == claim.expected, f"by a socket that was open frames pass {claim.observed}"


@pytest.mark.parametrize(
    "options",
    [
        promise("dgram/local-host-multicast", "remote.type=inet,remote.host={0},remote.port={1},local.type=inet,"
                "local.host={2},local.port={1}"),
        promise("socket/multicast-localaddr", "mcast={0}:{1},localaddr={2}"),
    ],
)  # fmt: skip
def test_an_own_address_chooses_the_interface(attach_peer, lab, mode, claim, options):
    said = []
    for address in (lab_addresses.HOST, "127.0.0.1"):
        port = lab.host.free_port("udp", 7300)
        with member_of(lab.neighbour, GROUP, port, lab_addresses.NEIGHBOUR) as member:
            peer = attach_peer(SpelledNetdev(mode, tuple(options.format(GROUP, port, address).split(","))))
            frame = frame_of(peer.mac, BROADCAST, 60)
            peer.wire.put(frame)
            said.append(f"{address}: {'heard on the LAN' if member.take() == frame else 'not heard'}")
    claim.sees("; ".join(said))
    assert claim.observed == claim.expected, f"who sends from {claim.observed}"
