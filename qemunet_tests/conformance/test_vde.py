"""What is promised of `-netdev vde`: peers at the ports of a real switch, and no guest."""

import pytest

from qemunet_tests.conformance.promises import promise
from qemunet_tests.conformance.refusals import assert_refused
from qemunet_tests.guest.peer_frames import frame_of, hear_each_other
from qemunet_tests.isolation.processes import stop
from qemunet_tests.modes.vde import VdeNetdev
from qemunet_tests.observe.carried_frames import STRANGER, arrives


@pytest.mark.claim("vde/switch-absent")
def test_a_switch_that_is_not_there(bench, claim):
    assert_refused(bench, claim, "vde", {"sock=/nonexistent": "Could not open vde: No such file or directory"})


@pytest.mark.parametrize("options", [promise("vde/learns", ()), promise("vde/hub", ("--hub",))])
def test_who_hears_what_is_for_one(bench_peers, start_switch, claim, options):
    _, folder = start_switch(*options)
    sender, receiver, third = bench_peers([VdeNetdev(str(folder))] * 3)
    unknown, known = (frame_of(sender.mac, address, 60) for address in (STRANGER, receiver.mac))
    # Whoever answers is known from then on.
    hear_each_other(sender, receiver)
    counts = []
    for frame in (unknown, known):
        sender.wire.put(frame)
        counts.append(sum(arrives(peer, frame, 0.5) for peer in (receiver, third)))
    claim.sees(f"before: {counts[0]} of 2 others; after: {counts[1]} of 2")
    assert claim.observed == claim.expected, f"what is for one comes to {claim.observed}"


@pytest.mark.claim("vde/switch-dies")
def test_qemu_lives_without_its_switch(attach_peer, start_switch, claim):
    process, folder = start_switch()
    peer = attach_peer(VdeNetdev(str(folder)))
    stop(process)
    for _ in range(3):
        peer.wire.put(frame_of(peer.mac, STRANGER, 60))
    peer.qemu.monitor.execute("query-status")
    claim.sees(f"QEMU {'ends' if peer.qemu.how_it_ended() else 'lives'}")
    assert claim.observed == claim.expected, f"when its switch ends {claim.observed}"


@pytest.mark.parametrize(
    "options", [promise("vde/port", ("port=7", "mode=0750")), promise("vde/mode", ("port=9", "mode=0707"))]
)
def test_qemus_socket_is_as_asked_for(attach_peer, start_switch, claim, options):
    _, folder = start_switch()
    attach_peer(VdeNetdev(str(folder), options))
    own = [each for each in folder.iterdir() if each.name != "ctl"]
    claim.sees(", ".join(f"port {int(each.name.split('.')[0])}, {each.stat().st_mode & 0o7777:04o}" for each in own))
    assert claim.observed == claim.expected, f"at the switch QEMU has {claim.observed or 'no socket'}"
