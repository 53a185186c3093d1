"""What is wrong with an arm is found by `compare` and named, on real recordings."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from meta_tests.faults import faults_in, in_recordings
from meta_tests.faults.in_recordings.arms import GUEST_TIME, TCP
from meta_tests.patience import limit
from qemunet_tests.throughput import recording

pytestmark = pytest.mark.slow

RECORD = ("record", "--nics", "virtio-net", "--accel", "tcg", "--seed", "1")
HEALTHY = ("--arms", "tap,tap-plain,user", *TCP)
FAULTS = {name: fault for name, fault in faults_in(in_recordings).items() if fault.breaks}


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


@pytest.mark.parametrize("name", [name for name in FAULTS if name != "captures"])
def test_what_is_wrong_with_an_arm_is_found_and_named(recorded, name):
    fault, before = FAULTS[name], recorded("nothing", *HEALTHY)
    planted = recorded(f"{name}={fault.planting.value(before)}", *fault.planting.words)
    code, said, lines = compared(before, planted)
    assert code == 3
    assert fault.is_named_in({"reason": said, "remedy": None}), said
    assert slower(lines) == set(fault.breaks)


def slower(lines):
    """The arms that are called slower, by rate or by what a gigabyte costs, which is the steadier of the two."""
    return {line["subject"] for line in lines if line.get("subject") and line["verdict"] == "slower"}


def test_a_tenth_more_work_in_the_guest_is_seen_in_guest_time(recorded):
    fault = FAULTS["captures"]
    before, after = recorded("nothing", *GUEST_TIME), recorded("captures=10", *fault.planting.words)
    code, said, lines = compared(before, after)
    assert code == 1, said
    assert slower(lines) == set(fault.breaks)
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
    assert [run.block for run in read.invalid_runs if run.why_invalid == "planted"] == [1]
    assert read.ended.reason == "complete"
    assert read.ended.blocks >= 3
    (twins,) = [each for each in read.summaries if each.again and each.metric == "tcp.g2h"]
    assert len(twins.blocks) >= 2


def test_what_is_never_valid_is_not_measured_for_ever(recorded):
    read = recording.read(recorded("invalid=all", *SHORT))
    assert not any(run.valid for run in read.runs if run.arm)
    assert read.ended.blocks == 3
