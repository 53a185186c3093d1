"""What QEMU says when it refuses: which line is the refusal, and what warnings are worth.

samples/qemu_refusals.json was recorded from QEMU 7.2.22, 10.0.2 and 11.1.3: command words, exit status, standard error
line by line; with it stands which line is the refusal, what led to it, how many warnings there are, and whether a
network was refused. `-with-mon` are those of a QEMU that was started with the deprecated `-mon`.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from qemunet_tests.guest.bench import Bench
from qemunet_tests.modes.bridge import BridgeNetdev
from qemunet_tests.modes.tap import TapNetdev
from qemunet_tests.modes.user import UserNetdev
from qemunet_tests.observe.bridge import helper_answer
from qemunet_tests.qemu.command_line import NetdevRefused
from qemunet_tests.qemu.complaints import told_apart
from qemunet_tests.qemu.netdev import Nic

SAMPLES = json.loads((Path(__file__).parents[1] / "samples/qemu_refusals.json").read_text())
DENIED = ("-netdev", "bridge,id=net0,br=br0")
REFUSAL = "qemu-system-x86_64: -netdev bridge,id=net0,br=br0: bridge helper failed"
NOISE = (
    "qemu-system-x86_64: -mon chardev=qmp,mode=control: warning: '-mon' is deprecated",
    "qemu-system-x86_64: warning: netdev net1 has no peer",
    "(process:4711): GLib-WARNING **: 10:00:00.000: unknown locale",
    "ERROR: ld.so: object 'libfake.so' from LD_PRELOAD cannot be preloaded (cannot open): ignored.",
    "/usr/bin/qemu-system-x86_64: /lib/libslirp.so.0: no version information available (required by qemu)",
    "qemu-system-x86_64: info: something harmless",
)


@pytest.mark.parametrize("sample", SAMPLES, ids=[f"{each['name']}-{each['qemu'][0]}" for each in SAMPLES])
def test_the_refusal_is_the_line_about_what_was_tried(sample: dict[str, Any]) -> None:
    lines = sample["stderr"]
    found = told_apart("\n".join(lines), ["/usr/bin/qemu-system-x86_64", "-nodefaults", *sample["words"]])
    assert found.refusal == lines[sample["refusal"]]
    assert list(found.because) == sample["because"]
    assert len(found.warnings) == sample["warnings"]
    assert found.refuses_network == sample["network"]
    assert not any("warning:" in line for line in (found.refusal, *found.because, *found.errors))


@pytest.mark.parametrize("noise", NOISE)
@pytest.mark.parametrize("place", ["before", "behind", "both"])
def test_warnings_change_nothing_wherever_they_stand(noise: str, place: str) -> None:
    lines = ["access denied by acl file", REFUSAL]
    lines = [noise] * (place != "behind") + lines + [noise] * (place != "before")
    found = told_apart("\n".join(lines), ["qemu-system-x86_64", *DENIED])
    assert (found.refusal, found.because, found.refuses_network) == (REFUSAL, ("access denied by acl file",), True)
    assert len(found.warnings) == lines.count(noise)
    assert all(warning in str(found) for warning in found.warnings)


def test_a_hint_is_no_word_of_the_helpers() -> None:
    said = f"qemu-system-x86_64: {' '.join(DENIED)}: warning: short-form\nPlease use x=on instead\n{REFUSAL}\n"
    found = told_apart(said, ["qemu-system-x86_64", *DENIED])
    assert (found.refusal, found.because) == (REFUSAL, ())


def test_only_warnings_are_no_refusal() -> None:
    found = told_apart("\n".join(NOISE), ["qemu-system-x86_64", *DENIED])
    assert (found.refusal, found.errors, found.refuses_network) == ("", (), False)
    assert str(found).startswith("it said nothing; it warned: ")


def test_a_warning_of_the_installed_qemu_hides_no_refusal(bench: Bench) -> None:
    """A short-form option is warned of by all versions since 6.0."""
    warned = UserNetdev(options=("restrict",))
    attempt = bench.attempt(netdevs=[warned, BridgeNetdev("br-unlisted")])
    assert "short-form" in attempt.message.splitlines()[0], attempt.message
    assert helper_answer(attempt) == "access denied by acl file"
    assert any("short-form" in warning for warning in attempt.complaints.warnings)


def test_a_refusal_in_a_verdicts_reason_is_not_the_warning(bench: Bench) -> None:
    with pytest.raises(NetdevRefused) as refused:
        bench.boot(Nic(UserNetdev(hostfwd=("tcp:2222",), options=("restrict",))))
    reason = str(refused.value).splitlines()[0]
    assert "Invalid host forwarding rule 'tcp:2222' (Missing : separator); it warned: " in reason


def test_the_bench_uses_nothing_that_this_qemu_deprecates(bench: Bench) -> None:
    guest = bench.boot(Nic(UserNetdev()))
    attempt = bench.attempt(netdevs=[UserNetdev()])
    assert not [warning for warning in guest.qemu.complaints.warnings if "deprecated" in warning]
    assert "deprecated" not in attempt.message


def test_a_tap_is_spelled_without_scripts_for_every_version(bench: Bench) -> None:
    assert TapNetdev("tap7").spell("net0") == "tap,id=net0,ifname=tap7,script=,downscript="
    attempt = bench.attempt("-netdev", TapNetdev("no/such/tap").spell("net0"))
    assert "script" not in attempt.complaints.refusal.partition(": ")[2].rpartition(": ")[2]
