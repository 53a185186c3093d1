"""What a tap leaves to the kernel: checksums and segments, several queues, vhost. Asked of QEMUs that stand still."""

import signal

import pytest

from qemunet_tests.conformance.promises import promise
from qemunet_tests.conformance.refusals import ALONE
from qemunet_tests.guest.plugging import MAC
from qemunet_tests.modes import user
from qemunet_tests.modes.tap import IFF_MULTI_QUEUE, IFF_VNET_HDR, OpenTapNetdev, TapNetdev, room_of
from qemunet_tests.observe.capture import sent_by, whole_capture
from qemunet_tests.observe.lease import lease_of
from qemunet_tests.observe.migration import outcome
from qemunet_tests.observe.network_ends import network_ends
from qemunet_tests.observe.nic import seen_nic
from qemunet_tests.observe.refused_commands import attempts, not_refused
from qemunet_tests.observe.tap_settings import settings_of
from qemunet_tests.observe.tcp import bulk
from qemunet_tests.observe.vhost import threads_of

SEVERAL = "mq=on,vectors=6"
#: Of a machine that is not slowed down: a guest notices a NIC and loads its driver.
FOUND_SECONDS = 2.0
BULK_BYTES, FRAME_BYTES = 256 * 1024, 1514
NO_DEVICE = ("open vhost char device failed: No such file or directory", "Could not open '/dev/vhost-net': No such file"
             " or directory")  # fmt: skip


@pytest.mark.claim("tap/vnet-hdr")
def test_frames_have_a_header_unless_told_otherwise(start_with, taps, make_tap, claim):
    seen = []
    for options in ((), ("vnet_hdr=off",)):
        tap = make_tap()
        start_with(TapNetdev(tap, options))
        seen.append("a header" if settings_of(taps.host, tap).vnet_hdr else "no header")
    claim.sees("; with vnet_hdr=off ".join(seen))
    assert claim.observed == claim.expected, f"on a tap there is {claim.observed}"


@pytest.mark.claim("tap/sndbuf")
def test_what_a_tap_holds_is_limited(start_with, make_tap, open_tap, claim):
    limits = []
    for options in (("sndbuf=20000",), ()):
        descriptor = open_tap(make_tap())
        start_with(OpenTapNetdev((descriptor,), options))
        limits.append(room_of(descriptor))
    claim.sees("{}; without it {}".format(*limits))
    assert claim.observed == claim.expected, f"the limit of a tap is {claim.observed}"


@pytest.mark.claim("tap/queues")
def test_a_tap_has_several_queues(pc_with, taps, make_tap, claim):
    tap = make_tap(several=True)
    qemu = pc_with(TapNetdev(tap, ("queues=2",)), nic=SEVERAL)
    of_nic = sum(each.is_nic for each in network_ends(qemu.monitor))
    claim.sees(f"the tap has {settings_of(taps.host, tap).queues}, the NIC has {of_nic}")
    assert claim.observed == claim.expected, f"of two queues {claim.observed}"


@pytest.mark.claim("tap/fd")
def test_queues_that_are_open_are_taken(pc_with, make_tap, open_tap, claim):
    claim.expects("2 of 2 queues")
    tap = make_tap(several=True)
    netdev = OpenTapNetdev(tuple(open_tap(tap, IFF_VNET_HDR | IFF_MULTI_QUEUE) for _ in range(2)))
    pairs = [each for each in network_ends(pc_with(netdev, nic=SEVERAL).monitor) if each.peer]
    claim.sees(f"{len(pairs)} of 2 queues")
    assert claim.observed == claim.expected, f"of a tap that is open QEMU takes {claim.observed}"


@pytest.mark.claim("tap/queues-refused")
def test_queues_that_cannot_be_are_refused(bench, make_tap, claim):
    one, several = make_tap(), make_tap(several=True)
    reasons = {
        f"-net tap,ifname={several},script=,downscript=,queues=2": "Multiqueue tap cannot be used with hubs",
        f"-netdev tap,id={ALONE},ifname={one},script=,downscript=,queues=2": f"could not configure /dev/net/tun ({one})"
        ": Invalid argument",
    }
    wrong = not_refused(attempts(bench, reasons, "-M", "none"), reasons)
    claim.sees(f"{len(reasons) - len(wrong)} of {len(reasons)} refused")
    assert not wrong, "; ".join(wrong)


@pytest.mark.claim("tap/migrate-tap-to-tap")
def test_a_nic_moves_from_tap_to_tap(pc_with, make_tap, claim):
    seen = {}
    for netdev in (TapNetdev(make_tap()), user.netdev()):
        here, there = pc_with(TapNetdev(make_tap())), pc_with(netdev, "-incoming", "defer")
        seen[netdev.kind] = outcome(here, there)
    refused = "saved image requires vnet_hdr=on" in seen["user"]
    claim.sees(f"tap: {seen['tap']}; user: {'refused' if refused else seen['user']}")
    assert claim.observed == claim.expected, f"of the state of a NIC at a tap: {claim.observed}"


@pytest.mark.claim("tap/vhost-absent")
@pytest.mark.usefixtures("no_vhost")
def test_without_its_device_vhost_is_refused(bench, make_tap, claim):
    words = f"tap,id={ALONE},ifname={make_tap()},script=,downscript=,vhost=on"
    tried = bench.attempt("-netdev", words, noted=False)
    died = tried.status == -signal.SIGABRT and "Assertion `nc' failed" in tried.message
    other = "QEMU starts" if tried.started else "refused" if tried.status == 1 else f"status {tried.status}"
    claim.sees("dies" if died else other)
    said = (*tried.complaints.warnings, tried.complaints.refusal)
    assert any(each.endswith(NO_DEVICE) for each in said), f"without /dev/vhost-net {other}: {tried.complaints}"
    if died:
        claim.deviates(name="aborts")
    else:
        assert claim.observed == claim.expected, f"without /dev/vhost-net {claim.observed}"


@pytest.mark.claim("tap/vhost-forced")
@pytest.mark.usefixtures("no_vhost")
def test_the_other_word_for_vhost(bench, make_tap, claim):
    reasons = {f"-netdev tap,id={ALONE},ifname={make_tap()},script=,downscript=,vhostforce=on": NO_DEVICE}
    wrong = not_refused(attempts(bench, reasons, "-M", "none"), reasons)
    claim.sees("; ".join(wrong) or "refused without /dev/vhost-net")
    assert claim.observed == claim.expected, claim.observed


@pytest.mark.parametrize("options", [promise("tap/vhost", ()), promise("tap/poll-us", ("poll-us=50",))])
@pytest.mark.usefixtures("vhost_net")
def test_a_thread_of_the_kernel_carries_frames(pc_with, make_tap, claim, options):
    qemu = pc_with(TapNetdev(make_tap(), ("vhost=on", *options)))
    claim.sees(" ".join(threads_of(qemu.process.pid)) or "no thread")
    assert claim.observed == claim.expected, f"with {','.join(('vhost=on', *options))} there is {claim.observed}"


@pytest.mark.claim("tap/offloads")
def test_segments_are_left_to_the_host(plugged, target, claim):
    said = []
    for offload in (True, False):
        guest = plugged("bridge", "virtio-net-pci", host_tso4=offload)
        assert seen_nic(guest, FOUND_SECONDS).driver == "virtio_net", "no driver finds the NIC"
        guest.check(guest.tools.network_up)
        lease_of(guest)
        transfer = bulk(guest, target.neighbour_echo.by("TCP"), BULK_BYTES)
        larger = any(len(frame) > FRAME_BYTES for frame in sent_by(MAC, whole_capture(guest)))
        said.append(f"{'larger frames' if larger else 'none'}, {'whole' if transfer.intact else transfer}")
    claim.sees("; without the offload ".join(said))
    assert claim.observed == claim.expected, f"there leave a guest {claim.observed}"
