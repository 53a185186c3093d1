"""What is promised of the scripts of `-netdev tap`: real ones, on taps that were made beforehand."""

import re

import pytest

from qemunet_tests.conformance.promises import promise
from qemunet_tests.modes.tap import NewTapNetdev
from qemunet_tests.observe.tap_settings import goes
from qemunet_tests.qemu.netdev import netdev_words

#: How an operator ends a QEMU so that it cleans up behind itself.
ENDINGS = {
    "quit": lambda qemu: qemu.monitor.execute("quit"),
    "SIGTERM": lambda qemu: qemu.process.terminate(),
}
#: Who ends at all ends within so long.
ENDING_SECONDS = 60.0


def named(calls, tap):
    """With what a script was called, in words."""
    with_what = " and ".join("the tap's name" if call == tap else repr(call) for call in calls)
    return f"called with {with_what}" if calls else "not called"


def tapped(tap, *options):
    """What starts a QEMU on a tap that exists."""
    return ("-M", "none", "-netdev", ",".join(["tap,id=net0", f"ifname={tap}", *options]))


@pytest.mark.claim("tap/script-up")
def test_the_script_is_called_before_the_guest_runs(halted, make_tap, network_script, claim):
    tap, up = make_tap(), network_script("up")
    qemu = halted(*tapped(tap, f"script={up.place}", "downscript="))
    status = qemu.monitor.execute("query-status")["status"]
    claim.sees(f"{named(up.calls, tap)}, and the machine is in {status}")
    assert claim.observed == claim.expected, f"the script is {claim.observed}"


@pytest.mark.claim("tap/script-fails")
def test_a_script_that_fails_is_fatal(bench, make_tap, network_script, claim):
    tap, up = make_tap(), network_script("up", status=1)
    tried = bench.attempt("-netdev", f"tap,id=alone,ifname={tap},script={up.place},downscript=")
    said = re.search(r"failed with status \d+$", tried.complaints.refusal)
    claim.sees("QEMU starts" if tried.started else said.group() if said else str(tried.complaints))
    assert up.calls == [tap], f"the script is {named(up.calls, tap)}"
    assert tried.status == 1, f"where its script fails {claim.observed}"
    if claim.observed == "failed with status 256":
        claim.deviates(name="raw")
    else:
        assert claim.observed == claim.expected, f"of a script that ends with 1 QEMU says: {claim.observed}"


@pytest.mark.claim("tap/script-default")
def test_there_is_a_script_by_default(halted, make_tap, default_script, claim):
    tap = make_tap()
    halted(*tapped(tap, "downscript="))
    claim.sees(named(default_script.calls, tap))
    assert claim.observed == claim.expected, f"/etc/qemu-ifup is {claim.observed}"


@pytest.mark.parametrize("none", [promise("tap/script-no", "no"), promise("tap/script-empty", "")])
def test_no_script_is_called(halted, make_tap, default_script, claim, none):
    counts = []
    for options in (["downscript="], [f"script={none}", f"downscript={none}"]):
        before = len(default_script.calls)
        qemu = halted(*tapped(make_tap(), *options))
        ENDINGS["quit"](qemu)
        qemu.process.wait(ENDING_SECONDS)
        counts.append(len(default_script.calls) - before)
    claim.sees(f"without it {counts[0]} call, with it {counts[1] or 'none'}")
    assert claim.observed == claim.expected, f"calls of /etc/qemu-ifup: {claim.observed}"


@pytest.mark.claim("tap/downscript")
def test_the_other_script_is_called_at_the_end(halted, make_tap, network_script, claim):
    seen = {}
    for how, end in ENDINGS.items():
        tap, down = make_tap(), network_script(f"down-{how}")
        qemu = halted(*tapped(tap, "script=", f"downscript={down.place}"))
        assert down.calls == [], f"downscript= is called at the beginning: {down.calls}"
        end(qemu)
        qemu.process.wait(ENDING_SECONDS)
        seen[how] = named(down.calls, tap)
    claim.sees("; ".join(f"{how}: {calls}" for how, calls in seen.items()))
    assert claim.observed == claim.expected, f"at the end of a QEMU downscript= is called so: {claim.observed}"


@pytest.mark.claim("tap/downscript-killed")
def test_who_is_killed_calls_nobody(halted, taps, network_script, claim):
    down, seen = network_script("down"), []
    for end in (lambda qemu: qemu.kill(), ENDINGS["quit"]):
        made = NewTapNetdev(("ifname=made77", "script=", f"downscript={down.place}"))
        qemu = halted("-M", "none", *netdev_words(made, "net0"), netdevs=[made])
        assert taps.host.index("made77") is not None, "QEMU makes no tap"
        end(qemu)
        qemu.process.wait(ENDING_SECONDS)
        seen.append(f"{named(down.calls, 'made77')}, {'no' if goes(taps.host, 'made77') else 'a'} tap")
    claim.sees(f"killed: {seen[0]}; then quit: {seen[1]}")
    assert claim.observed == claim.expected, f"of a QEMU's tap: {claim.observed}"
