"""The lines of recordings and comparisons are what their schemas say, and the schemas are those of the models."""

import json

import jsonschema
import pytest

from meta_tests.samples import recordings
from qemunet_tests.__main__ import exit_code
from qemunet_tests.report.shapes import SCHEMAS
from qemunet_tests.throughput import recording
from qemunet_tests.throughput.judging.live import RunningRatios
from qemunet_tests.throughput.recording_shapes import LINES, schema_text


def validator(lines):
    return jsonschema.Draft202012Validator(json.loads((SCHEMAS / f"{lines}.json").read_text()))


def complaints(lines, rows):
    """Of every row that its schema does not take, what is wrong with it."""
    found = []
    for row in rows:
        for error in validator(lines).iter_errors(row):
            said = [f"{each.json_path}: {each.message[:120]}" for each in error.context or [error]]
            found.append(f"{row.get('kind')}: {'; '.join(said)}")
    return found


@pytest.mark.parametrize("lines", LINES)
def test_the_schemas_are_those_of_the_models(lines):
    file = SCHEMAS / f"{lines}.json"
    assert json.loads(file.read_text()) == json.loads(schema_text(lines)), (
        f"write report/schemas/{lines}.json anew from recordings.schema_text({lines!r})"
    )


def test_the_interface_is_what_the_schemas_demand():
    summary = json.loads(schema_text("recording"))["$defs"]["Summary"]
    assert {"kind", "metric", "nic", "arms", "ratio", "low", "high", "p", "verdict"} <= set(summary["required"])
    kinds = json.loads(schema_text("recording"))["discriminator"]["mapping"]
    assert set(kinds) == {"session", "run", "summary", "end"}


def test_what_is_written_is_what_the_schema_says(tmp_path):
    path = tmp_path / "a.jsonl"
    writer = recording.Writer(path)
    kept = RunningRatios(writer, recordings.shaped(recordings.session()))
    for run in recordings.measured_runs():
        kept.keep(run)
    kept.end("interrupted by Ctrl-C", 1.0, ["blocks 9 to 10"])
    writer.close()
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    assert {row["kind"] for row in rows} == {"session", "run", "summary", "end"}
    assert complaints("recording", rows) == []
    # To the letter: what was measured as a whole number stays one, and what a row does not say is not in its line.
    measured = [recordings.session(), *recordings.runs()]
    assert rows[: len(measured)] == measured
    assert [type(row["values"]["retransmits"]) for row in rows if row["kind"] == "run"] == [int] * 48


@pytest.mark.parametrize("change", [{"valid": "yes"}, {"values": None}, {"kind": "walk"}, {"schema": 2}])
def test_a_row_of_another_shape_is_refused(change):
    row = next(iter(recordings.runs()))
    assert complaints("recording", [row]) == []
    assert complaints("recording", [{**row, **change}])


def test_a_row_that_lacks_something_is_refused():
    row = next(iter(recordings.runs()))
    for name in ("schema", "measures", "boot", "block", "arm", "values", "valid", "why_invalid", "seconds"):
        assert complaints("recording", [{key: value for key, value in row.items() if key != name}]), name


def test_what_compare_prints_is_what_the_schema_says(tmp_path, capsys):
    left = recordings.write(tmp_path / "a.jsonl")
    slow = {**recordings.RATES, "bridge": 600.0}
    right = recordings.write(tmp_path / "b.jsonl", lines=list(recordings.runs(slow, seed=2)))
    assert exit_code(["compare", str(left), str(right), "--json"]) == 1
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {row["kind"] for row in rows} == {"summary", "end"}
    assert complaints("comparison", rows) == []


@pytest.mark.parametrize("value", [5e-324, 1e-200])
def test_rates_whose_ratios_are_no_numbers_are_refused(tmp_path, capsys, value):
    whole = recordings.write(tmp_path / "whole.jsonl")
    lines = [{**run, "values": {**run["values"], "tcp.g2h": value}} for run in recordings.runs()]
    spoilt = recordings.write(tmp_path / "spoilt.jsonl", lines=lines)
    assert exit_code(["compare", str(whole), str(spoilt)]) == 2
    said = capsys.readouterr().err
    assert f"{spoilt} is damaged: line 2: run.values.tcp.g2h" in said
    assert said.count("\n") == 1
