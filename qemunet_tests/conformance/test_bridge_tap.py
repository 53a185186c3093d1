"""The tap that the bridge helper makes, and how QEMU calls the helper: QEMUs that stand still, and no guest."""

import re

import pytest

from qemunet_tests.deadline import Deadline
from qemunet_tests.errors import ControlFailed, Unavailable
from qemunet_tests.isolation.processes import stop
from qemunet_tests.modes.bridge import netdev
from qemunet_tests.modes.tap import make_tap
from qemunet_tests.network import lab_addresses, private_etc
from qemunet_tests.observe.bridge import STARTED, bridge_of, helper_answer, link_says, taps
from qemunet_tests.observe.process import tap_held_by
from qemunet_tests.observe.tap_settings import settings_of
from qemunet_tests.qemu.netdev import SpelledNetdev

# On a host, until its operator has named a bridge, nothing of this mode is tried.
pytestmark = pytest.mark.usefixtures("named_bridge")

USAGE = re.compile(r"Usage: \S+ .*--br=\S+ --fd=\S+")
DEFAULT, ABSENT = "br0", "br-absent"
#: How long a QEMU that was told to end is waited for, and how long a tap of one that has ended.
ENDING_SECONDS, GOING_SECONDS = 20.0, 3.0


def goes(station, tap):
    """Whether a tap goes away."""
    return Deadline(GOING_SECONDS, "a tap to go").sees(lambda: station.index(tap) is None)


@pytest.mark.claim("bridge/default-br0")
def test_without_a_name_it_is_br0(halted_at, target, claim):
    if target.bridge != DEFAULT:
        raise Unavailable("another bridge was named, and frames go onto none that was not", f"--bridge {DEFAULT}")
    tap = tap_held_by(halted_at(netdev(DEFAULT, named=False)))
    claim.sees(f"its tap is in {(tap and bridge_of(target.host, tap)) or 'no bridge'}")
    assert claim.observed == claim.expected, f"of a QEMU that was told no bridge {claim.observed}"


@pytest.mark.claim("bridge/no-bridge")
@pytest.mark.usefixtures("access_list")
def test_what_is_no_bridge_is_refused(bench, lab, claim):
    links = (ABSENT, lab_addresses.UPLINK)
    private_etc.allow_bridges(*links)
    before = taps(lab.host)
    said = [re.sub(r"\btap\d+", "tapN", helper_answer(bench.attempt(netdevs=[netdev(link)]))) for link in links]
    left = [tap for tap in sorted(taps(lab.host) - before) if not goes(lab.host, tap)]
    claim.sees("; ".join([*said, f"{', '.join(left) or 'no tap'} is left"]))
    assert claim.observed == claim.expected, f"of what is no bridge: {claim.observed}"


@pytest.mark.claim("bridge/mtu-copied")
def test_the_tap_has_the_bridges_mtu(halted_at, lab, sized_bridges, claim):
    found = {size: tap_held_by(halted_at(netdev(bridge))) for size, bridge in sized_bridges.items()}
    sizes = {size: tap and link_says(lab.host, tap, "mtu") for size, tap in found.items()}
    claim.sees(", ".join(f"in a bridge of {size} bytes a tap of {of}" for size, of in sizes.items()))
    assert claim.observed == claim.expected, f"there is {claim.observed}"


@pytest.mark.claim("bridge/tap-mac")
def test_the_bridge_keeps_its_own_mac(halted_at, target, claim):
    before = link_says(target.host, target.bridge, "address")
    tap = tap_held_by(halted_at(netdev(target.bridge)))
    of_tap, of_bridge = (link_says(target.host, link or "", "address") for link in (tap, target.bridge))
    unlike = "as before" if of_bridge == before else of_bridge
    claim.sees(f"the tap's begins with {of_tap[:2] if of_tap else 'nothing'}, the bridge's is {unlike}")
    assert claim.observed == claim.expected, f"of the two MAC addresses {claim.observed}"


@pytest.mark.claim("bridge/tap-gone")
def test_the_tap_goes_with_qemu(halted_at, target, claim):
    left = {}
    for ending, end in {"quit": ended_by_monitor, "SIGTERM": ended_by_signal, "SIGKILL": ended_by_kill}.items():
        qemu = halted_at(netdev(target.bridge))
        tap = tap_held_by(qemu)
        if not tap:
            raise ControlFailed("QEMU holds no tap open that could go with it")
        end(qemu)
        left[ending] = not goes(target.host, tap)
    claim.sees(f"no tap after {', '.join(ending for ending, is_left in left.items() if not is_left) or 'anything'}")
    assert claim.observed == claim.expected, f"there is {claim.observed} alone"


def ended_by_monitor(qemu):
    qemu.quit()


def ended_by_signal(qemu):
    qemu.ended_by_us = True
    if (status := stop(qemu.process, ENDING_SECONDS)) < 0:
        raise ControlFailed(f"QEMU did not end by itself when it was told to by SIGTERM: {status}")


def ended_by_kill(qemu):
    qemu.kill()


@pytest.mark.claim("bridge/no-scripts")
def test_no_script_is_called(bench, lab, noting_script, claim):
    script = (f"ifname={make_tap(lab.host, bench.identity, None)}", "downscript=")
    bench.attempt(netdevs=[SpelledNetdev("tap", script)])
    if not noting_script.exists():
        raise Unavailable(f"this QEMU calls another script than {private_etc.ETC}/qemu-ifup", "try a distribution's")
    noting_script.unlink()
    said = helper_answer(bench.attempt(netdevs=[netdev(lab_addresses.BRIDGE)]))
    called = "called" if noting_script.exists() else "not called" if said == STARTED else said
    claim.sees(f"called for tap, {called} for bridge")
    assert claim.observed == claim.expected, f"the script is {claim.observed}"


@pytest.mark.claim("bridge/helper-option")
def test_another_program_is_the_helper(bench, target, noting_helper, claim):
    program, words = noting_helper
    claim.expects(f"--use-vnet --fd=N --br={target.bridge}; by a shell: --br={target.bridge} --use-vnet --fd=N")
    tried = {
        "": netdev(target.bridge, (f"helper={program}",)),
        "by a shell: ": netdev("br-unlisted", (f"helper={program} --br=$(echo {target.bridge})",)),
    }
    said = []
    for how, chosen in tried.items():
        answer = helper_answer(bench.attempt(netdevs=[chosen]))
        told = re.sub(r"--fd=\d+", "--fd=N", words.read_text().strip()) if words.exists() else "it is not called"
        words.unlink(missing_ok=True)
        said.append(how + (told if answer == STARTED else f"{told}: {answer}"))
    claim.sees("; ".join(said))
    assert claim.observed == claim.expected, f"the program is told {claim.observed}"


@pytest.mark.claim("bridge/vnet-header")
def test_frames_have_the_header_that_offloads_need(halted_at, target, claim):
    tap = tap_held_by(halted_at(netdev(target.bridge)))
    header = tap and settings_of(target.host, tap).vnet_hdr
    claim.sees(f"a tap whose frames have {'a' if header else 'no'} header" if tap else "no tap")
    assert claim.observed == claim.expected, f"the helper makes {claim.observed}"


@pytest.mark.claim("bridge/helper-usage")
def test_whoever_calls_the_helper_wrongly_is_told_how(bench, target, claim):
    helper = bench.qemu.own_helper.path if bench.qemu.own_helper else bench.qemu.helper_path
    calls = (("--fd=1",), (f"--br={target.bridge}",), (f"--br={target.bridge}", "--fd=1", "--bridge"))
    said = {words: bench.station.ask([*bench.identity.prefix(()), str(helper), *words])
            for words in calls}  # fmt: skip
    silent = [" ".join(words) for words, done in said.items() if done.succeeded or not USAGE.match(done.complaint)]
    claim.sees(f"{len(calls) - len(silent)} of {len(calls)} are told how it is called")
    assert not silent, f"called with {'; with '.join(silent)} the helper does not say how it is called"
