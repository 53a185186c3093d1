"""One guest that is joined to a network in one way after another, with nothing changed in it."""

import pytest

from qemunet_tests.deadline import Deadline
from qemunet_tests.modes import user
from qemunet_tests.observe.lease import lease
from qemunet_tests.observe.nic import seen_nic
from qemunet_tests.observe.tcp import bulk
from qemunet_tests.qemu.netdev import SpelledNetdev

SIZE_BYTES = 64 * 1024
#: Of a machine that is not slowed down: all is back by then.
BACK_SECONDS = 4
#: Of a machine that is not slowed down: a guest notices a NIC and loads its driver.
FOUND_SECONDS = 2.0


@pytest.fixture
def another_qemu(attach_peer, target):
    """A backend that leads to the user networking of another QEMU, by way of a hub in that one."""
    port = target.host.free_port("tcp", 7200)
    where = f"addr.type=inet,addr.host=127.0.0.1,addr.port={port}"
    joined = ("-netdev", f"stream,id=out,server=on,{where}", "-netdev", "hubport,id=to-out,hubid=0,netdev=out")
    attach_peer(user.netdev(), *joined)
    Deadline(10.0, "QEMU to listen").wait_until(lambda: target.host.listens("tcp", port))
    return SpelledNetdev("stream", ("server=off", where))


def served(guest, service):
    """What a guest gets by the NIC that it has, in words."""
    assert seen_nic(guest, FOUND_SECONDS).driver == "virtio_net", "no driver finds the NIC"
    guest.check(guest.tools.network_up)
    if lease(guest) is None:
        return "no lease"
    transfer = bulk(guest, service, SIZE_BYTES, BACK_SECONDS)
    guest.check(guest.tools.network_down)
    return f"a lease, {'64 KiB there and back' if transfer.intact else transfer}"


@pytest.mark.lengthy
@pytest.mark.usefixtures("taps")
@pytest.mark.claim("net/seamless-options-user-tap")
def test_a_guest_is_served_alike_by_every_backend(plugged, wire_mode, another_qemu, target, claim):
    ways: dict[str, list[str]] = {}
    for mode in ("user", "bridge", "tap", "passt", "stream"):
        netdev = another_qemu if mode == "stream" else wire_mode(mode)
        ways.setdefault(served(plugged(netdev, "virtio-net-pci"), target.neighbour_echo.by("TCP")), []).append(mode)
    claim.sees("; ".join(f"by {', '.join(modes)} {got}" for got, modes in ways.items()))
    assert claim.observed == claim.expected, f"a guest gets {claim.observed}"
