"""`qemunet modes`: what people ask, by the verdicts of a run."""

import json
import math
import os
import re
from pathlib import Path

import jsonschema
import pytest

from meta_tests.samples import recordings
from meta_tests.samples.pages import broken_host, healthy_run, lab_results
from qemunet_tests import modes
from qemunet_tests.__main__ import exit_code
from qemunet_tests.claims import load
from qemunet_tests.report.mode_answers import answers, questions
from qemunet_tests.report.page.html_page import html_page
from qemunet_tests.report.page.network_drawing import interval
from qemunet_tests.report.page.throughput_drawing import exchange_plots
from qemunet_tests.report.recorded_rates import summed_up, with_recording, with_recording_beside
from qemunet_tests.report.session_results import write_results
from qemunet_tests.report.shapes import ModesAnswer, RecordedRatio, Results, schema
from qemunet_tests.report.verdict_of_test import Verdict, VerdictOfTest
from qemunet_tests.throughput import recording

REACHED, REACHES = "Is the guest reached from the LAN?", "Does the guest reach the LAN?"


def answer(results: Results | None, asks: str, mode: str) -> ModesAnswer:
    asked = next(each for each in answers(results).questions if each.asks == asks)
    return next(each for each in asked.answers if each.mode == mode)


def test_the_table_cites_claims_of_the_modes_that_it_asks_about():
    for asked in questions():
        for mode, cell in asked.modes.items():
            assert mode in modes.every()
            assert [claim for claim in cell.claims if claim not in load() or not claim.startswith(f"{mode}/")] == []


def test_a_cell_holds_where_all_that_it_cites_was_seen_to_hold():
    assert answer(healthy_run(), REACHES, "user") == ModesAnswer(
        mode="user", claims=["user/reach-lan-tcp", "user/reach-lan-udp"], verdict=Verdict.HOLDS, says="by TCP and UDP"
    )


def test_without_a_run_nothing_was_tried():
    assert {(each.verdict, each.says) for asked in answers(None).questions for each in asked.answers} == {
        (None, "not tried"), (None, "not recorded"), (None, "no claim about it"),
    }  # fmt: skip


def test_what_a_mode_has_no_claim_about_is_not_called_untried():
    assert answer(healthy_run(), REACHED, "dgram") == ModesAnswer(
        mode="dgram", claims=[], verdict=None, says="no claim about it"
    )


def test_every_question_is_answered_for_the_modes_that_have_claims_about_it():
    answered = {
        asked.asks: [each.mode for each in asked.answers if each.verdict] for asked in answers(healthy_run()).questions
    }
    assert answered[REACHES] == ["user", "bridge", "passt", "vhost-user"]
    assert answered["IPv6?"] == ["user", "bridge", "passt"]
    assert {*answered["Several guests on one network?"]} >= {"user", "bridge", "tap", "passt", "stream", "dgram", "vde"}


@pytest.mark.parametrize(
    ("tcp", "udp", "verdict", "says"),
    [
        ("holds", None, None, "not tried"),
        ("broken", None, "broken", "no answer by tcp"),
        ("holds", "broken", "broken", "no answer by udp"),
        ("unavailable", "holds", "unavailable", "no answer by tcp"),
        ("unavailable", "deviates", "deviates", "no answer by udp"),
        ("inconclusive", "deviates", "inconclusive", "no answer by tcp"),
    ],
)
def test_a_part_of_an_answer_is_none(tcp, udp, verdict, says):
    found = [
        VerdictOfTest(f"user/reach-lan-{name}", Verdict(each), "t", reason=f"no answer by {name}")
        for name, each in (("tcp", tcp), ("udp", udp))
        if each
    ]
    told = answer(lab_results(*found), REACHES, "user")
    assert (told.verdict, told.says) == (verdict, says)


def test_the_command_prints_a_runs_answers_for_people_and_for_scripts(tmp_path, capsys):
    write_results(broken_host(), tmp_path)
    assert exit_code(["modes", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    # However long a mode's name is, answers begin below each other.
    answered = [line for line in said.splitlines() if line.startswith(("  bridge", "  vhost-user"))]
    assert (
        len({line.index(word) for line in answered for word in ("/usr/lib/qemu", "where its backend") if word in line})
        == 1
    )
    assert any("  broken  " in line and "qemu-bridge-helper is neither" in line for line in answered)
    assert [line for line in said.splitlines() if len(line) > 80] == []
    assert exit_code(["modes", str(tmp_path), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    jsonschema.validate(document, schema("modes"))
    assert document["modes"] == list(modes.every())
    assert exit_code(["modes"]) == 0
    assert "not tried (user/reach-lan-tcp, user/reach-lan-udp)" in capsys.readouterr().out


def test_a_folder_without_results_is_one_line(tmp_path, capsys):
    (tmp_path / "recording.jsonl").write_text('{"kind": "session"}\n')
    for place in (tmp_path, tmp_path / "none", tmp_path / "recording.jsonl"):
        assert exit_code(["modes", str(place)]) == 2
        assert capsys.readouterr().err.count("\n") == 1


def recorded(tmp_path: Path) -> Results:
    file = recordings.write(tmp_path / "a.jsonl")
    return healthy_run().model_copy(update={"recording": summed_up(recording.read(file))})


def test_rates_are_those_of_the_last_recording(tmp_path):
    results = recorded(tmp_path)
    told = answer(results, "How fast, and at which cost?", "user")
    assert told.verdict is None
    assert told.says.startswith("3") and "Mbit/s out" in told.says and "virtio-net-pci, 2026-01-02" in told.says
    assert answer(results, "How fast, and at which cost?", "passt").says == "not recorded"
    page = html_page(results)
    assert 'id="throughput"' in page and told.says in page
    assert "02 January 2026, 03:04 UTC" in page
    assert 'id="throughput"' not in html_page(healthy_run())


def test_a_recording_of_another_qemu_is_none_of_this_run(tmp_path, monkeypatch):
    monkeypatch.setenv("QEMUNET_CACHE", str(tmp_path))
    gone = healthy_run().model_copy(update={"qemu": healthy_run().qemu.model_copy(update={"path": "/no/qemu"})})
    assert with_recording(gone, tmp_path) is gone
    here = healthy_run()
    assert with_recording(here, tmp_path).recording is None


def test_the_path_is_proven_of_each_transfer(tmp_path):
    rows = [{**row, "proof": {"expected": row["arm"][:4], "found": row["arm"][:4]}} for row in recordings.runs()]
    rows[0] |= {"valid": False, "why_invalid": "QEMU's own host sockets carried nothing"}
    told = summed_up(recording.read(recordings.write(tmp_path / "a.jsonl", lines=rows)))
    assert [(each.proof, each.proven, each.transfers) for each in told.arms] == [
        ("user", 15, 16), ("brid", 16, 16), ("user", 16, 16),
    ]  # fmt: skip
    page = html_page(healthy_run().model_copy(update={"recording": told}))
    assert "user; the bytes were counted there in 15 of 16 transfers" in page
    # Recordings of before did not say it.
    old = told.arms[0].model_copy(update={"proven": None, "transfers": None})
    page = html_page(healthy_run().model_copy(update={"recording": told.model_copy(update={"arms": [old]})}))
    assert "were counted there" not in page


def test_times_of_exchanges_are_written_as_people_say_them(tmp_path):
    said = recorded(tmp_path).recording
    assert said
    arm = said.arms[0].model_copy(update={"exchange_us": {"tcp.rr": [120.0, 5e6]}, "rows": {}, "over_time": {}})
    (plot,) = exchange_plots(said.model_copy(update={"arms": [arm]}))
    assert [label for _, label in plot.ticks] == ["100 µs", "1 ms", "10 ms", "100 ms", "1 s", "10 s"]


def of_this_host(**changes: object) -> dict[str, object]:
    """A session of the machine, QEMU and accelerator that the samples' results are of."""
    run = healthy_run()
    machine = {"id": run.host.id, "processor": "p", "cpus": 2, "architecture": "x86_64", "kernel": "6.18"}
    qemu = {**run.qemu.model_dump(include={"path", "version", "slirp"}), "version_line": "QEMU", "binary": "1-2"}
    return recordings.session(machine=machine, qemu=qemu, **changes)


def test_a_recording_in_the_reports_folder_is_on_its_page(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("QEMUNET_CACHE", str(tmp_path / "cache"))
    out = tmp_path / "out"
    out.mkdir()
    write_results(healthy_run(), out)
    recordings.write(out / "yesterday.jsonl", of_this_host(at="2026-01-01T00:00:00+00:00"))
    recordings.write(out / "today.jsonl", of_this_host())
    recordings.write(out / "cut.jsonl", of_this_host(at="2027-01-01T00:00:00+00:00"), end=None)
    recordings.write(out / "other.jsonl", recordings.session(at="2027-01-01T00:00:00+00:00"))
    (out / "damaged.jsonl").write_text("{")
    os.mkfifo(out / "fifo.jsonl")
    assert exit_code(["report", str(out)]) == 0
    page = (out / "report.html").read_text()
    assert "2026-01-02T03:04:05+00:00" in page and "2027" not in page.partition('id="results"')[0]
    told = with_recording(healthy_run(), out).recording
    assert told and [len(each.rows["tcp.g2h"]) for each in told.arms] == [8, 8, 8]
    assert page.count('class="median"') == 12
    # What is younger in the results is not given up for what lies there.
    newer = told.model_copy(update={"at": "2028-01-01T00:00:00+00:00"})
    results = healthy_run().model_copy(update={"recording": newer})
    assert with_recording_beside(results, out) is results


def test_whatever_a_recording_says_is_drawn_within_its_plot(tmp_path):
    said = recorded(tmp_path).recording
    assert said
    odd = [math.nan, math.inf, -1.0, 0.0, 1e308, 5e-324]
    arm = said.arms[0].model_copy(
        update={
            "rows": {"tcp.g2h": odd, "cpu.h2g": [0.0], "tcp.rr": []},
            "exchange_us": {"tcp.rr": odd, "tcp.crr": [1.0]},
            "over_time": {"tcp.g2h": [[(each, each) for each in odd]], "tcp.h2g": [[]]},
        }
    )
    ratio = said.ratios[0].model_copy(update={"ratio": math.nan, "blocks": odd}) if said.ratios else None
    changes = {"arms": [arm], "ratios": [ratio] if ratio else []}
    page = html_page(healthy_run().model_copy(update={"recording": said.model_copy(update=changes)}))
    drawn = page[page.index('id="throughput"') : page.index('id="contract"')]
    numbers = re.findall(r'\b(?:cx|x|y)="([^"]*)"|[ML]([-\d.e+naif]+) ', drawn)
    assert numbers and all(0 <= float(one or other) <= 400 for one, other in numbers)


@pytest.mark.parametrize(
    ("ratio", "low", "high", "drawn"),
    [(1.0, None, None, (80, 80, 80)), (10.0, 1.0, 1000.0, (120, 80, 160)), (0.01, 0.001, 0.1, (0, 0, 40))],
)
def test_an_interval_is_drawn_on_a_line_of_four_decades(ratio, low, high, drawn):
    found = RecordedRatio(
        metric="m", nic="n", arms=["a", "b"], ratio=ratio, low=low, high=high, verdict="v", reason="r", again=False
    )
    at = interval(found)
    assert (at.x, at.low_x, at.high_x) == drawn
