"""Recordings as files: whatever ended them, what was measured can be read."""

import json
import os

import pytest

from meta_tests.samples import recordings
from qemunet_tests.__main__ import exit_code
from qemunet_tests.errors import UsageError
from qemunet_tests.throughput import latest_recording, recording
from qemunet_tests.throughput.judging.live import RunningRatios


def test_a_half_written_file_is_readable_up_to_its_last_whole_line(tmp_path):
    path = recordings.write(tmp_path / "a.jsonl")
    whole = recording.read(path)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * 2 // 3])
    half = recording.read(path)
    assert 0 < len(half.runs) < len(whole.runs)
    assert half.runs == whole.runs[: len(half.runs)]
    assert half.ended is None
    assert half.lost_lines == 1


@pytest.mark.parametrize("content", ["", "nonsense\n", '{"kind": "run"}\n', '["session"]\n'])
def test_what_is_no_recording_is_refused(tmp_path, content):
    path = tmp_path / "a.jsonl"
    path.write_text(content)
    with pytest.raises(UsageError, match="no recording"):
        recording.read(path)


def test_a_later_schema_is_refused(tmp_path):
    path = recordings.write(tmp_path / "a.jsonl", recordings.session(schema=2))
    with pytest.raises(UsageError, match="schema 2"):
        recording.read(path)


def test_a_recording_is_not_overwritten(tmp_path):
    path = recordings.write(tmp_path / "a.jsonl")
    before = path.read_bytes()
    with pytest.raises(UsageError, match="not overwritten"):
        recording.Writer(path)
    assert path.read_bytes() == before


def test_a_folder_that_cannot_be_written_is_the_users_mistake(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="--out"):
        recording.Writer(tmp_path / "file" / "a.jsonl")


def test_a_full_disk_keeps_whole_lines():
    writer = recording.Writer.__new__(recording.Writer)
    writer.path = "/dev/full"
    writer._descriptor = os.open("/dev/full", os.O_WRONLY)
    with pytest.raises(recording.DiskFull, match="no space is left"):
        writer.append(next(recordings.measured_runs()))


def test_every_row_is_in_the_file_before_the_next_is_measured(tmp_path):
    path = tmp_path / "a.jsonl"
    writer = recording.Writer(path)
    kept = RunningRatios(writer, recordings.shaped(recordings.session()))
    assert writer.empty
    for number, run in enumerate(recordings.measured_runs(blocks=2)):
        kept.keep(run)
        assert len(recording.read(path).runs) == number + 1
    kept.end("interrupted by Ctrl-C", 1.0)
    writer.close()
    read = recording.read(path)
    assert read.ended.reason == "interrupted by Ctrl-C"
    assert {summary.metric for summary in read.summaries} >= {"tcp.g2h", "tcp.h2g", "cpu.g2h"}
    kinds = [json.loads(line)["kind"] for line in path.read_text().splitlines()]
    assert kinds[0] == "session"
    assert kinds[-1] == "end"


def test_the_latest_of_this_machine_and_qemu_is_found(tmp_path, monkeypatch):
    monkeypatch.setenv("QEMUNET_CACHE", str(tmp_path))
    folder = tmp_path / latest_recording.FOLDER
    folder.mkdir()
    for name, changes in {
        "old": {"at": "2026-01-01T00:00:00+00:00"},
        "new": {"at": "2026-02-01T00:00:00+00:00"},
        "elsewhere": {"at": "2026-03-01T00:00:00+00:00", "machine": {"id": "other"}},
        "guest-time": {"at": "2026-03-01T00:00:00+00:00", "guest_time": True},
    }.items():
        recordings.write(folder / f"{name}.jsonl", recordings.session(**changes))
    recordings.write(folder / "cut.jsonl", recordings.session(at="2026-04-01T00:00:00+00:00"), end=None)
    found = latest_recording.latest("m", "1-2", "tcg", {"user", "bridge"})
    assert found.path.stem == "new"
    assert latest_recording.latest("m", "3-4", "tcg", {"user", "bridge"}) is None


def nested(depth):
    return [nested(depth - 1)] if depth else []


WRONG = (None, -1, 1e300, "x", [], {"a": 1}, nested(300), "9" * 6000)


def places(value, place=()):
    """The way to everything that a line holds."""
    yield place
    if isinstance(value, dict | list):
        for name, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from places(inner, (*place, name))


def with_another(line, place, value):
    changed = json.loads(json.dumps(line))
    inner = changed
    for name in place[:-1]:
        inner = inner[name]
    inner[place[-1]] = value
    return changed


@pytest.mark.parametrize("kind", ["session", "run", "end"])
def test_a_damaged_recording_is_one_line_that_names_it(tmp_path, capfd, kind):
    """Whatever stands where: it is refused, or it is compared."""
    good = recordings.write(tmp_path / "good.jsonl", lines=list(recordings.runs(blocks=2)))
    rows = [json.loads(line) for line in good.read_text().splitlines()]
    number = next(number for number, row in enumerate(rows) if row["kind"] == kind)
    refused = 0
    for turn, place in enumerate(each for each in places(rows[number]) if each):
        changed = with_another(rows[number], place, WRONG[turn % len(WRONG)])
        lines = [*rows[:number], changed, *rows[number + 1 :]]
        damaged = tmp_path / "damaged.jsonl"
        damaged.write_text("".join(json.dumps(line) + "\n" for line in lines))
        code = exit_code(["compare", str(good), str(damaged)])
        said = capfd.readouterr()
        assert code in (0, 2, 3), (place, said)
        assert "an error of qemunet's own" not in said.err, (place, said)
        if code == 2:
            refused += 1
            assert (said.out, said.err.count("\n")) == ("", 1), (place, said)
            assert str(damaged) in said.err, (place, said)
    assert refused > 5


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("[" * 100_000, "recursion limit"),
        ('{"kind": "run", "schema": 1, "guest": ' + "[" * 300 + "]" * 300 + "}", "recursion limit"),
        ("nonsense", "Invalid JSON"),
        ("[1]", "should be an object"),
        ('{"kind": "walk"}', "does not match any of the expected tags"),
        ("\\ud800", "Invalid JSON"),
    ],
)
def test_a_damaged_line_is_named(tmp_path, line, said):
    path = recordings.write(tmp_path / "a.jsonl")
    first, *others = path.read_text().splitlines()
    path.write_text("\n".join([first, line, *others]) + "\n")
    with pytest.raises(UsageError, match=said) as refused:
        recording.read(path)
    assert str(refused.value).startswith(f"{path} is damaged: line 2: ")


def test_what_is_too_large_is_no_recording(tmp_path):
    path = tmp_path / "a.jsonl"
    path.touch()
    os.truncate(path, recording.LIMIT_BYTES + 1)
    with pytest.raises(UsageError, match=r"a\.jsonl is no recording: it is larger than 256 MB"):
        recording.read(path)


def test_a_damaged_recording_in_the_cache_is_passed_over_with_a_note(tmp_path, monkeypatch):
    monkeypatch.setenv("QEMUNET_CACHE", str(tmp_path))
    (tmp_path / latest_recording.FOLDER).mkdir()
    good = recordings.write(tmp_path / latest_recording.FOLDER / "good.jsonl")
    bad = tmp_path / latest_recording.FOLDER / "bad.jsonl"
    bad.write_text(good.read_text().replace('"valid": true', '"valid": 7', 1))
    notes = []
    found = latest_recording.latest("m", "1-2", "tcg", {"user", "bridge"}, notes.append)
    assert found.path == good
    assert len(notes) == 1
    assert notes[0].startswith(f"a recording in the cache is passed over: {bad} is damaged: line 2: ")
