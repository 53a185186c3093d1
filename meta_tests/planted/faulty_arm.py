"""`qemunet record` with something wrong in the arms `tap` and `tap-plain` that the recorder was not told of.

    python -m meta_tests.planted.faulty_arm PLANTING[=VALUE] record OPTION...

Everything else is the real command. What is planted lies where it would in life: on the tap, in the guest, or behind
the name of a process.
"""

import itertools
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from qemunet_tests import modes
from qemunet_tests.__main__ import exit_code
from qemunet_tests.modes.tap import TapNetdev
from qemunet_tests.observe import process
from qemunet_tests.throughput import recorder
from qemunet_tests.throughput.resident_guest import ResidentGuest

#: A capture that was left behind, stopped: the kernel offers it every packet, and it takes none.
CAPTURE = (
    "(socat -u INTERFACE:eth0 OPEN:/dev/null >/dev/null 2>&1 </dev/null & echo $! >>/run/captures); "
    "pid=$(tail -n 1 /run/captures); until grep -q . /proc/net/packet && [ $(ls /proc/$pid/fd | wc -l) -gt 4 ]; do "
    "usleep 20000; done; kill -STOP $pid"
)


def small_mtu(subject: ResidentGuest, value: str) -> None:
    """The path carries packets of at most 576 bytes."""
    _set_link(subject, mtu=int(value or 576))


def rate_cap(subject: ResidentGuest, value: str) -> None:
    """A queue discipline on the tap lets `value` Mbit/s pass to the guest."""
    netlink = subject.station.netlink
    index = subject.station.index(process.tap_of(subject.guest) or "")
    netlink.tc("add", "tbf", index, 0x10000, rate=f"{value}mbit", latency="50ms", burst=1 << 18)


def captures(subject: ResidentGuest, value: str) -> None:
    """So many captures were left behind in the guest."""
    for _ in range(int(value)):
        subject.guest.check(CAPTURE)


def _set_link(subject: ResidentGuest, **changes: Any) -> None:
    station = subject.station
    station.netlink.link("set", index=station.index(process.tap_of(subject.guest) or ""), **changes)


def no_vnet_hdr(wiring: modes.Wiring) -> modes.Wiring:
    """A tap that cuts and sums nothing, under the name of one that does."""
    assert isinstance(wiring.netdev, TapNetdev)
    return replace(wiring, netdev=replace(wiring.netdev, options=("vnet_hdr=off",)))


TAPS = ("tap", "tap-plain")
IN_SUBJECTS: dict[str, Callable[[ResidentGuest, str], None]] = {
    "small-mtu": small_mtu,
    "rate-cap": rate_cap,
    "captures": captures,
}


def plant_invalid(value: str) -> None:
    """The transfer with this number is not valid, or `all` are not."""
    transfer, count = recorder.transfer, itertools.count(1)

    def spoilt(*arguments: Any) -> dict[str, Any]:
        row = transfer(*arguments)
        return {**row, "valid": False, "why_invalid": "planted"} if value in ("all", str(next(count))) else row

    recorder.transfer = spoilt


def plant(name: str, value: str) -> None:
    """From now on every arm by a tap has it."""
    boot = recorder.boot

    def booted(*arguments: Any) -> list[ResidentGuest]:
        subjects = boot(*arguments)
        for subject in subjects:
            if subject.arm.way in TAPS:
                IN_SUBJECTS[name](subject, value)
        return subjects

    if name == "invalid":
        plant_invalid(value)
    elif name == "no-vnet-hdr":
        known, tap = modes.ways(), modes.ways()["tap"]
        damaged = replace(tap, wire=lambda *place: no_vnet_hdr(tap.wire(*place)))
        modes.ways = lambda: known | {"tap": damaged}
    elif name != "nothing":
        recorder.boot = booted


if __name__ == "__main__":
    planting, _, given = sys.argv[1].partition("=")
    plant(planting, given)
    sys.exit(exit_code(sys.argv[2:]))
