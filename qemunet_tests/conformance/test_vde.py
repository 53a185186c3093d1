"""What is promised of `-netdev vde`: peers at the ports of a real switch, and no guest."""

import grp
import os

import pytest

from qemunet_tests.conformance.promises import promise
from qemunet_tests.conformance.refusals import assert_refused
from qemunet_tests.errors import Unavailable
from qemunet_tests.guest.peer_frames import frame_of, hear_each_other
from qemunet_tests.isolation.processes import stop
from qemunet_tests.modes.vde import VdeNetdev
from qemunet_tests.network import lab_addresses
from qemunet_tests.observe.arp import who_has
from qemunet_tests.observe.carried_frames import STRANGER, arrives

#: Root's, which QEMU is never in.
OTHER_GROUP = 0


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


@pytest.mark.claim("vde/group")
def test_qemus_socket_is_of_the_group_asked_for(attach_peer, start_switch, bench, claim):
    _, folder = start_switch()
    # What is made in it is of its group, which is not QEMU's, unless it is given another.
    try:
        os.chown(folder, -1, OTHER_GROUP)
    except OSError as error:
        raise Unavailable("this user namespace has one group alone", "run as root") from error
    folder.chmod(0o2777)
    said, names = [], {bench.identity.gid: "QEMU's own", OTHER_GROUP: "the folder's"}
    for options in ((), (f"group={grp.getgrgid(bench.identity.gid).gr_name}",)):
        before = set(folder.iterdir())
        attach_peer(VdeNetdev(str(folder), options))
        groups = {each.stat().st_gid for each in set(folder.iterdir()) - before}
        said.append(" and ".join(names.get(group, str(group)) for group in groups))
    claim.sees("{} without, {} with".format(*said))
    if claim.observed != claim.expected:
        assert said == ["the folder's"] * 2, f"the group of QEMU's socket is {claim.observed}"
        claim.deviates(name="own-alone")


@pytest.mark.claim("vde/tap")
def test_a_switch_is_joined_to_the_lan_by_a_tap(attach_peer, start_switch, plug_switch_to_tap, claim):
    _, folder = start_switch()
    plug_switch_to_tap(folder)
    answer = who_has(attach_peer(VdeNetdev(str(folder))), lab_addresses.NEIGHBOUR)
    claim.sees(f"{lab_addresses.NEIGHBOUR} answers" if answer else "nobody answers")
    assert claim.observed == claim.expected, f"from the LAN {claim.observed}"
