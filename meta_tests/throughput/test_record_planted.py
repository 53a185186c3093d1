"""What is wrong with an arm is found by `compare` and named, on real recordings."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from meta_tests.patience import limit
from qemunet_tests.throughput import recording
from qemunet_tests.throughput.judging import verdicts

pytestmark = pytest.mark.slow

RECORD = ("record", "--nics", "virtio-net", "--accel", "tcg", "--seed", "1")
TCP = ("--blocks", "6", "--extras", "none")
HEALTHY = ("--arms", "tap,tap-plain,user", *TCP)
TAP = ("--arms", "tap,user", *TCP)
#: What a tap with vnet_hdr carries is not cut, whatever the MTU is: there a small one is named, and costs little.
PLAIN = ("--arms", "tap-plain,user", *TCP)
GUEST_TIME = ("--guest-time", "--arms", "tap", "--directions", "g2h", "--blocks", "5")
#: Of what a healthy path costs a guest, what so many captures add to it: a tenth.
TENTH = "captures=10"


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """Makes a recording with something planted, once for all tests that ask for the same."""
    folder, made = tmp_path_factory.mktemp("recordings"), {}

    def record(planting: str, *words: str, number: int = 1) -> Path:
        key = (planting, *words, number)
        if key not in made:
            out = folder / f"{planting.replace('=', '-')}-{len(made)}.jsonl"
            command = [
                sys.executable,
                "-m",
                "meta_tests.planted.faulty_arm",
                planting,
                *RECORD,
                *words,
                "--out",
                str(out),
            ]
            done = subprocess.run(command, check=False, timeout=limit(400), capture_output=True, text=True)
            assert out.exists(), done.stderr
            made[key] = out
        return made[key]

    return record


def compared(*words):
    """Exit code, all that was said, and the lines for programs."""
    command = [sys.executable, "-m", "qemunet_tests", "compare", *map(str, words)]
    said = subprocess.run(command, check=False, timeout=limit(60), capture_output=True, text=True)
    lines = subprocess.run([*command, "--json"], check=False, timeout=limit(60), capture_output=True, text=True)
    return said.returncode, said.stdout + said.stderr, [json.loads(line) for line in lines.stdout.splitlines()]


def test_an_mtu_of_576_in_the_path(recorded):
    before, after = recorded("nothing", *HEALTHY), recorded("small-mtu=576", *PLAIN, "--directions", "h2g")
    code, said, lines = compared(before, after)
    assert code == 3
    assert "mtu of tap-plain virtio-net-pci: MTU of the tap 1500 -> 576" in said
    assert "mtu of tap-plain virtio-net-pci: bytes in a TCP segment 1448 -> 524" in said
    assert "tap-plain virtio-net-pci: the MTU of its tap is 576, not 1500" in said
    assert slower(lines) == {"tap-plain"}


def test_a_rate_cap_at_half(recorded):
    before = recorded("nothing", *HEALTHY)
    half = verdicts.median(recording.read(before), "tcp.h2g", "tap", "virtio-net-pci") / 2
    code, said, lines = compared(before, recorded(f"rate-cap={half:.0f}", *TAP, "--directions", "h2g"))
    assert code == 3
    assert "the queue discipline tbf is on its tap" in said
    assert "qdisc of tap virtio-net-pci" in said
    assert slower(lines) == {"tap"}


def test_a_lost_vnet_hdr(recorded):
    code, said, lines = compared(recorded("nothing", *HEALTHY), recorded("no-vnet-hdr", *TAP, "--directions", "g2h"))
    assert code == 3
    assert "HOST_TSO4" in said
    assert "arguments of tap virtio-net-pci" in said
    assert "its tap has no vnet_hdr, so that the guest cuts and sums every packet itself" in said
    assert re.search(r"offloads of tap virtio-net-pci: tap with vnet_hdr \(\w+\) -> tap without vnet_hdr", said), said
    assert slower(lines) == {"tap"}


def slower(lines):
    """The arms that are called slower, by rate or by what a gigabyte costs, which is the steadier of the two."""
    return {line["subject"] for line in lines if line.get("subject") and line["verdict"] == "slower"}


def test_a_tenth_more_work_in_the_guest_is_seen_in_guest_time(recorded):
    code, said, lines = compared(recorded("nothing", *GUEST_TIME), recorded(TENTH, *GUEST_TIME))
    assert code == 1, said
    assert slower(lines) == {"tap"}
    assert 0.85 < lines[0]["ratio"] < 0.95


def test_the_same_work_is_the_same_in_guest_time(recorded):
    code, said, lines = compared(recorded("nothing", *GUEST_TIME), recorded("nothing", *GUEST_TIME, number=2))
    assert code == 0, said
    assert lines[0]["verdict"] == "no difference"
    assert 0.98 < lines[0]["ratio"] < 1.02


#: Of one arm and its A/A arm.
SHORT = ("--arms", "user", "--blocks", "2", "--directions", "g2h", "--extras", "none")


def test_a_block_with_an_invalid_row_is_measured_again(recorded):
    read = recording.read(recorded("invalid=2", *SHORT))
    assert [run["block"] for run in read.invalid_runs if run["why_invalid"] == "planted"] == [1]
    assert read.ended["reason"] == "complete"
    assert read.ended["blocks"] >= 3
    (twins,) = [each for each in read.summaries if each["again"] and each["metric"] == "tcp.g2h"]
    assert len(twins["blocks"]) >= 2


def test_what_is_never_valid_is_not_measured_for_ever(recorded):
    read = recording.read(recorded("invalid=all", *SHORT))
    assert not any(run["valid"] for run in read.runs if run["arm"])
    assert read.ended["blocks"] == 3
