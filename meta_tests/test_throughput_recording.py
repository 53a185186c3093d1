"""Recordings as files: whatever ended them, what was measured can be read."""

import json

import pytest

from meta_tests import made_recordings
from qemunet_tests.harness.errors import UsageError
from qemunet_tests.throughput import recording, shelf
from qemunet_tests.throughput.judging.live import Book


def test_a_half_written_file_is_readable_up_to_its_last_whole_line(tmp_path):
    path = made_recordings.write(tmp_path / "a.jsonl")
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
    path = made_recordings.write(tmp_path / "a.jsonl", made_recordings.session(schema=2))
    with pytest.raises(UsageError, match="schema 2"):
        recording.read(path)


def test_a_recording_is_not_overwritten(tmp_path):
    path = made_recordings.write(tmp_path / "a.jsonl")
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
    import os

    writer._descriptor = os.open("/dev/full", os.O_WRONLY)
    with pytest.raises(recording.Full, match="no space is left"):
        writer.append("run", {"values": {}})


def test_every_row_is_in_the_file_before_the_next_is_measured(tmp_path):
    path = tmp_path / "a.jsonl"
    writer = recording.Writer(path)
    book = Book(writer, made_recordings.session())
    assert writer.empty
    for number, run in enumerate(made_recordings.runs(blocks=2)):
        book.keep({name: value for name, value in run.items() if name not in ("kind", "schema")})
        assert len(recording.read(path).runs) == number + 1
    book.end("interrupted by Ctrl-C", 1.0)
    writer.close()
    read = recording.read(path)
    assert read.ended["reason"] == "interrupted by Ctrl-C"
    assert {summary["metric"] for summary in read.summaries} >= {"tcp.g2h", "tcp.h2g", "cpu.g2h"}
    kinds = [json.loads(line)["kind"] for line in path.read_text().splitlines()]
    assert kinds[0] == "session"
    assert kinds[-1] == "end"


def test_the_latest_of_this_machine_and_qemu_is_found(tmp_path, monkeypatch):
    monkeypatch.setenv("QEMUNET_CACHE", str(tmp_path))
    folder = tmp_path / shelf.FOLDER
    folder.mkdir()
    for name, changes in {
        "old": {"at": "2026-01-01T00:00:00+00:00"},
        "new": {"at": "2026-02-01T00:00:00+00:00"},
        "elsewhere": {"at": "2026-03-01T00:00:00+00:00", "machine": {"id": "other"}},
        "guest-time": {"at": "2026-03-01T00:00:00+00:00", "guest_time": True},
    }.items():
        made_recordings.write(folder / f"{name}.jsonl", made_recordings.session(**changes))
    made_recordings.write(folder / "cut.jsonl", made_recordings.session(at="2026-04-01T00:00:00+00:00"), end=None)
    found = shelf.latest("m", {"binary": "1-2"}, "tcg", {"user", "bridge"})
    assert found.path.stem == "new"
    assert shelf.latest("m", {"binary": "3-4"}, "tcg", {"user", "bridge"}) is None
