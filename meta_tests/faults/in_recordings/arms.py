"""Arms `tap` and `tap-plain` with something wrong: on the tap, in the guest, or behind the name of a backend."""

import itertools
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from meta_tests.faults.fault import Fault, InRecording
from qemunet_tests import modes
from qemunet_tests.modes.tap import TapNetdev
from qemunet_tests.observe.process import tap_of
from qemunet_tests.throughput import recorder, recording
from qemunet_tests.throughput.judging import verdicts
from qemunet_tests.throughput.recording_shapes import Measurement
from qemunet_tests.throughput.resident_guest import ResidentGuest

TAPS = ("tap", "tap-plain")
#: A capture that was left behind, stopped: the kernel offers it every packet, and it takes none.
CAPTURE = (
    "(socat -u INTERFACE:eth0 OPEN:/dev/null >/dev/null 2>&1 </dev/null & echo $! >>/run/captures); "
    "pid=$(tail -n 1 /run/captures); until grep -q . /proc/net/packet && [ $(ls /proc/$pid/fd | wc -l) -gt 4 ]; do "
    "usleep 20000; done; kill -STOP $pid"
)


def in_guests(plant: Callable[[ResidentGuest, str], None]) -> Callable[[str], None]:
    """Plant it in every guest on a tap, once it is up."""

    def planted(value: str) -> None:
        boot = recorder.boot  # type: ignore[attr-defined]

        def booted(*arguments: Any, **options: Any) -> list[ResidentGuest]:
            subjects = boot(*arguments, **options)
            for subject in subjects:
                if subject.arm.way in TAPS:
                    plant(subject, value)
            return subjects

        recorder.boot = booted  # type: ignore[attr-defined]

    return planted


@in_guests
def small_mtu(subject: ResidentGuest, value: str) -> None:
    """The path carries packets of at most so many bytes."""
    station = subject.station
    station.netlink.link("set", index=station.index(tap_of(subject.guest) or ""), mtu=int(value))


@in_guests
def rate_cap(subject: ResidentGuest, value: str) -> None:
    """A queue discipline on the tap lets `value` Mbit/s pass to the guest."""
    station = subject.station
    index = station.index(tap_of(subject.guest) or "")
    station.netlink.tc("add", "tbf", index, 0x10000, rate=f"{value}mbit", latency="50ms", burst=1 << 18)


@in_guests
def captures(subject: ResidentGuest, value: str) -> None:
    """So many captures were left behind in the guest."""
    for _ in range(int(value)):
        subject.guest.check(CAPTURE)


def no_vnet_hdr(_: str) -> None:
    """A tap that cuts and sums nothing, under the name of one that does."""
    known, tap = modes.ways(), modes.ways()["tap"]

    def wire(*place: Any) -> modes.Wiring:
        wiring = tap.wire(*place)
        assert isinstance(wiring.netdev, TapNetdev)
        return replace(wiring, netdev=replace(wiring.netdev, options=("vnet_hdr=off",)))

    modes.ways = lambda: known | {"tap": replace(tap, wire=wire)}


def invalid(value: str) -> None:
    """The transfer with this number is not valid, or `all` are not."""
    transfer = recorder.transfer  # type: ignore[attr-defined]
    count = itertools.count(1)

    def spoilt(*arguments: Any) -> Measurement:
        row = transfer(*arguments)
        spoils = value in ("all", str(next(count)))
        return row.model_copy(update={"valid": False, "why_invalid": "planted"}) if spoils else row

    recorder.transfer = spoilt  # type: ignore[attr-defined]


def half(healthy: Path) -> str:
    """Half of what passes where nothing is wrong, in Mbit/s."""
    return f"{verdicts.median(recording.read(healthy), 'tcp.h2g', 'tap', 'virtio-net-pci') / 2:.0f}"


def each_of(*words: str) -> str:
    """An expression for all of these, in any order."""
    return "".join(f"(?=.*{each})" for each in words)


TCP = ("--blocks", "6", "--extras", "none")
#: What a tap with vnet_hdr carries is not cut, whatever the MTU is: there a small one is named, and costs little.
PLAIN = ("--arms", "tap-plain,user", *TCP, "--directions", "h2g")
TO_GUEST, FROM_GUEST = (("--arms", "tap,user", *TCP, "--directions", direction) for direction in ("h2g", "g2h"))
GUEST_TIME = ("--guest-time", "--arms", "tap", "--directions", "g2h", "--blocks", "5")

FAULTS = (
    Fault("small-mtu", ("tap-plain",), each_of(
        "mtu of tap-plain virtio-net-pci: MTU of the tap 1500 -> 576",
        "mtu of tap-plain virtio-net-pci: bytes in a TCP segment 1448 -> 524",
        "tap-plain virtio-net-pci: the MTU of its tap is 576, not 1500"),
        InRecording(small_mtu, PLAIN, lambda _: "576")),
    Fault("rate-cap", ("tap",), each_of("the queue discipline tbf is on its tap", "qdisc of tap virtio-net-pci"),
          InRecording(rate_cap, TO_GUEST, half)),
    Fault("no-vnet-hdr", ("tap",), each_of(
        "HOST_TSO4", "arguments of tap virtio-net-pci",
        "its tap has no vnet_hdr, so that the guest cuts and sums every packet itself",
        r"offloads of tap virtio-net-pci: tap with vnet_hdr \(\w+\) -> tap without vnet_hdr"),
        InRecording(no_vnet_hdr, FROM_GUEST)),
    # Of what a healthy path costs a guest, what so many captures add to it: a tenth.
    Fault("captures", ("tap",), "slower", InRecording(captures, GUEST_TIME, lambda _: "10")),
    Fault("invalid", (), "planted", InRecording(invalid)),
)  # fmt: skip
