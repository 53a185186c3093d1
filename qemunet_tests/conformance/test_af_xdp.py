"""What is promised of `-netdev af-xdp`: where QEMU was built with it, at cables within the host."""

import pytest

from qemunet_tests.conformance.promises import promise
from qemunet_tests.conformance.refusals import assert_refused, spelled
from qemunet_tests.modes.af_xdp import AfXdpNetdev
from qemunet_tests.observe.carried_frames import exchanged

#: As QEMU 8.2 and as QEMU 10.1 says it.
NEEDS_INHIBIT = ("'inhibit=on' requires 'sock-fds' and vice versa", "'sock-fds' and 'map-path' require 'inhibit=on'")
NEEDS_SOCKETS = ("'inhibit=on' requires 'sock-fds' and vice versa", "'inhibit=on' requires 'sock-fds' or 'map-path'")


@pytest.mark.claim("af-xdp/listed")
def test_it_is_known_where_it_is_listed(bench, claim):
    listed = "af-xdp" in bench.qemu.netdevs
    alone = bench.attempt("-netdev", spelled("af-xdp", "ifname=nobody"), noted=False)
    said = alone.complaints.refusal
    known = not said.endswith(("Parameter 'type' does not accept value 'af-xdp'", "is not compiled into this binary"))
    claim.sees("as listed" if known == listed else f"{'' if listed else 'not '}listed, and QEMU says {said}")
    assert claim.observed == claim.expected, f"af-xdp is {claim.observed}"


@pytest.mark.parametrize(
    "messages",
    [
        promise("af-xdp/no-interface", {"ifname=nobody": "failed to get ifindex for 'nobody': No such device"}),
        promise("af-xdp/queues", {"ifname=lo,queues=0": "invalid number of queues (0) for 'lo'"}),
        promise("af-xdp/inhibit", {"ifname=lo,inhibit=on": NEEDS_SOCKETS, "ifname=lo,sock-fds=0": NEEDS_INHIBIT}),
        promise(
            "af-xdp/no-privilege",
            {"ifname=lo,mode=skb": "failed to create umem for lo queue_index: 0: Operation not permitted"},
        ),
    ],
)
@pytest.mark.usefixtures("built_with_af_xdp")
def test_what_cannot_be_is_refused(bench, claim, messages):
    assert_refused(bench, claim, "af-xdp", messages)


@pytest.mark.claim("af-xdp/generic-veth")
def test_frames_pass_at_the_end_of_a_cable(attach_peer, cable_for_af_xdp, claim):
    name, end = cable_for_af_xdp
    claim.sees(exchanged(attach_peer(AfXdpNetdev(name)), end))
    assert claim.observed == claim.expected, f"at the end of a cable frames pass {claim.observed}"


@pytest.mark.claim("af-xdp/program-removed")
def test_its_program_goes_with_qemu(attach_peer, lab, cable_for_af_xdp, claim):
    name, _ = cable_for_af_xdp
    peer = attach_peer(AfXdpNetdev(name))
    counts = [has_program(lab.host, name)]
    peer.close()
    claim.sees(", then ".join("a program" if has else "none" for has in (*counts, has_program(lab.host, name))))
    assert claim.observed == claim.expected, f"at the interface there is {claim.observed}"


def has_program(station, name):
    """Whether ip(8) shows a program of XDP at an interface."""
    return "prog/xdp" in station.run(f"ip link show dev {name}").text
