"""`qemunet record`: what it refuses, what it shows, and (slowly) what it measures."""

import io
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from rich.console import Console

from meta_tests.patience import limit
from meta_tests.samples import recordings
from meta_tests.throughput.test_record_shapes import complaints
from qemunet_tests.__main__ import exit_code
from qemunet_tests.throughput import recording
from qemunet_tests.throughput.judging import verdicts
from qemunet_tests.throughput.showing import headline, table
from qemunet_tests.throughput.showing.plots import draw

RECORD = [sys.executable, "-m", "qemunet_tests", "record"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--arms", "usr"], "no arm 'usr'"),
        (["--arms", ","], "name at least one"),
        (["--nics", "ne2000"], "no driver for 'ne2000'"),
        (["--blocks", "0"], "--blocks"),
        (["--blocks", "many"], "--blocks"),
        (["--seconds", "0"], "--seconds"),
        (["--qemu", "/nonexistent"], "--qemu"),
        (["--guest-time", "--accel", "kvm"], "--guest-time"),
        (["--extras", "weather"], "--extras: there is no 'weather'; there are latency, udp, none"),
        (["--directions", "up"], "--directions: there is no 'up'"),
        (["--placement", "moon"], "--placement"),
    ],
)
def test_mistakes_are_one_line_and_exit_2(capsys, words, message):
    assert exit_code(["record", *words]) == 2
    said = capsys.readouterr().err
    assert message in said
    assert said.count("\n") == 1


def read(tmp_path, about=None, lines=None, end=recordings.END):
    return recording.read(recordings.write(tmp_path / "a.jsonl", about, lines, end))


def shown(recorded):
    console = Console(width=100, file=io.StringIO(), record=True)
    table.show(console, recorded, verdicts.summarise(recorded, verdicts.health(recorded)), verdicts.health(recorded))
    return console.export_text()


def test_the_answer_comes_first_and_titles_name_accelerator_and_placement(tmp_path):
    text = shown(read(tmp_path))
    assert text.startswith("User mode here is, against bridge on virtio-net, 6.")
    assert "Mbit/s of this host's uplink of 1000 Mbit/s: it matters" in " ".join(text.split())
    assert "QEMU 7.2, TCG, all on CPU 1" in text
    assert "A/A: the same configuration twice is the same" in text


def test_what_is_odd_and_what_else_went_on_is_said(tmp_path):
    odd = list(recordings.runs(on_path={**recordings.ON_PATH, "qdisc": "tbf", "tun_flags": "0x1002"}))
    text = " ".join(shown(read(tmp_path, lines=odd)).split())
    assert "Odd: bridge virtio-net-pci: the queue discipline tbf is on its tap." in text
    assert "Odd: bridge virtio-net-pci: its tap has no vnet_hdr" in text
    assert "Meanwhile others used 0.2 CPUs (at most 0.2), 0% was stolen; fixed work took 3.0 to 3.0 ms." in text
    assert "Odd" not in shown(read(tmp_path))


def test_what_was_not_measured_is_named(tmp_path):
    ended = {
        **recordings.END,
        "reason": "interrupted by Ctrl-C",
        "missing": ["blocks 3 to 8", "latency in boot 2"],
    }
    text = " ".join(shown(read(tmp_path, end=ended)).split())
    assert "The recording ended early: interrupted by Ctrl-C. Not measured: blocks 3 to 8; latency in boot 2." in text


def test_a_machine_that_cannot_measure_gives_no_verdict(tmp_path):
    rates = {**recordings.RATES, "user-again": 900.0}
    recorded = read(tmp_path, lines=list(recordings.runs(rates)))
    assert not verdicts.health(recorded).usable
    assert {each.verdict for each in verdicts.summarise(recorded, verdicts.health(recorded))} == {"inconclusive"}
    assert shown(recorded).startswith("This machine cannot measure")


def test_invalid_rows_are_counted_and_not_used(tmp_path):
    lines = list(recordings.runs())
    for line in lines:
        if line["arm"] == "bridge" and line["block"] == 3:
            line["valid"], line["why_invalid"] = False, "wrong backend: the monitor shows user, not tap"
    recorded = read(tmp_path, lines=lines)
    found = next(each for each in verdicts.summarise(recorded, verdicts.health(recorded)) if each.metric == "tcp.g2h")
    assert len(found.ratio.blocks) == 7
    assert "2 of 48 rows are invalid: wrong backend" in shown(recorded)


def test_what_was_cut_off_says_so(tmp_path):
    assert "cut off" in shown(read(tmp_path, end=None))


def test_precision_that_was_not_reached_is_said_loudly(tmp_path):
    assert "PRECISION NOT REACHED" in shown(read(tmp_path, end={**recordings.END, "precise": False}))


@pytest.mark.parametrize(("speed", "words"), [(1000, "it matters"), (100, "costs CPU"), (None, "does not say")])
def test_whether_it_matters_depends_on_the_uplink(tmp_path, speed, words):
    recorded = read(tmp_path, recordings.session(uplink={"name": "eth0", "mbit_per_second": speed}))
    said = headline.answer(recorded, verdicts.summarise(recorded, verdicts.health(recorded)), verdicts.health(recorded))
    assert words in said


def test_plots_are_drawn_as_svg_and_png(tmp_path):
    recorded = read(tmp_path)
    drawn = draw(
        recorded, verdicts.summarise(recorded, verdicts.health(recorded)), verdicts.health(recorded), tmp_path / "plots"
    )
    assert {path.name for path in drawn} >= {"ratios.svg", "ratios.png", "rates.svg", "intervals.png"}
    assert "TCG, all on CPU 1" in (tmp_path / "plots" / "ratios.svg").read_text() or drawn[0].stat().st_size > 1000


def panels(file):
    """The titles in an SVG: matplotlib keeps every text as a comment beside its outlines."""
    return re.findall(r"<!-- ((?:TCP|CPU) .*) -->", file.read_text())


def test_plots_have_no_panel_of_what_was_not_measured(tmp_path):
    one_way = [run for run in recordings.runs() if run["measures"] == "tcp.g2h"]
    recorded = read(tmp_path, lines=one_way)
    names = {
        path.name
        for path in draw(
            recorded, verdicts.summarise(recorded, verdicts.health(recorded)), verdicts.health(recorded), tmp_path
        )
    }
    assert "latency.svg" not in names
    assert panels(tmp_path / "rates.svg") == [
        "TCP guest to host, Mbit/s: more is better", "CPU guest to host, s/GB: less is better"
    ]  # fmt: skip
    assert panels(tmp_path / "intervals.svg") == ["TCP guest to host, Mbit/s: more is better"]


@pytest.mark.parametrize(
    ("rates", "said"),
    [({}, "A/A: the same configuration twice is the same, to ±"), ({"user-again": 900.0}, "A/A FAILED, no verdict: ")],
)
def test_plots_carry_the_verdict_of_the_a_a_arm(tmp_path, rates, said):
    recorded = read(tmp_path, lines=list(recordings.runs({**recordings.RATES, **rates})))
    for path in draw(
        recorded, verdicts.summarise(recorded, verdicts.health(recorded)), verdicts.health(recorded), tmp_path
    ):
        assert path.suffix == ".png" or said in path.read_text()
    ratios = (tmp_path / "ratios.svg").read_text()
    assert "bridge is better right of 1" in ratios
    assert "bridge is better left of 1" in ratios


# ---- real ones ---------------------------------------------------------------------------------------------------

ONE_BLOCK = ["--blocks", "1", "--nics", "virtio-net"]


def lines_of(path):
    """What was really written is what the schema says."""
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert complaints("recording", lines) == []
    return lines


@pytest.fixture
def open_folder():
    """A folder that the user QEMU runs as can read; pytest's own are closed to others."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        path.chmod(0o755)
        yield path


@pytest.mark.slow
def test_a_wrong_backend_behind_the_right_name_is_named(open_folder, tmp_path, capsys):
    """A QEMU that gives every guest user networking, whatever it is asked for."""
    wrapper = open_folder / "qemu"
    wrapper.write_text(
        "#!/bin/bash\nwords=()\n"
        'for word in "$@"; do words+=("${word/#bridge,id=net0,br=br0/user,id=net0}"); done\n'
        'exec qemu-system-x86_64 "${words[@]}"\n'
    )
    wrapper.chmod(0o755)
    out = tmp_path / "a.jsonl"
    words = [*RECORD, *ONE_BLOCK, "--extras", "none", "--accel", "tcg", "--qemu", str(wrapper), "--out", str(out)]
    subprocess.run(words, check=False, timeout=limit(300))
    assert exit_code(["compare", str(out), str(out)]) == 3
    said = capsys.readouterr().out
    assert said.startswith("invalid comparison: in a.jsonl all 4 transfers of bridge virtio-net-pci are invalid: ")
    assert "wrong backend: the monitor shows user, not tap" in said
    runs = [line for line in lines_of(out) if line["kind"] == "run" and line["measures"].startswith("tcp.")]
    of_bridge = [run for run in runs if run["arm"] == "bridge"]
    assert of_bridge
    assert all("shows user, not tap" in run["why_invalid"] for run in of_bridge)
    assert all(run["valid"] for run in runs if run["arm"] == "user" and run["measures"] in ("tcp.g2h", "tcp.h2g"))


@pytest.mark.slow
def test_guests_that_talk_to_each_other(tmp_path):
    """Whoever counts the bytes on their way agrees with iperf3: QEMU's connection, taps, and both guests' NICs."""
    out = tmp_path / "a.jsonl"
    words = ["--arms", "stream,bridge-guests", "--nics", "virtio-net", "--extras", "none", "--blocks", "1"]
    subprocess.run([*RECORD, *words, "--out", str(out)], check=False, timeout=limit(300))
    runs = [line for line in lines_of(out) if line.get("measures") in ("tcp.g2h", "tcp.h2g")]
    assert {run["arm"] for run in runs} == {"stream", "bridge-guests", "bridge-guests-again"}
    for run in runs:
        assert run["valid"], run["why_invalid"]
        assert run["proof"]["nics"].keys() == {"near", "far"}
        assert run["values"][run["measures"]] > 0
        kind = "stream" if run["arm"] == "stream" else "tap"
        assert (run["proof"]["expected"], run["proof"]["found"]) == (kind, kind)


@pytest.mark.slow
def test_guest_time_varies_little(tmp_path):
    out = tmp_path / "a.jsonl"
    words = ["--guest-time", "--arms", "bridge", "--nics", "virtio-net", "--blocks", "5", "--out", str(out)]
    subprocess.run([*RECORD, *words], check=False, timeout=limit(500))
    rates = [line["values"]["guest_time.g2h"] for line in lines_of(out) if line.get("measures") == "guest_time.g2h"]
    assert len(rates) >= 5
    assert (max(rates) - min(rates)) / max(rates) < 0.15
