"""What root writes, removes and copies in a folder of another user's stays in that folder."""

import contextlib
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from qemunet_tests.isolation import folder as folders
from qemunet_tests.isolation.folder import LEFT_OUT, opened
from qemunet_tests.report.session_results import write_whole


@pytest.fixture
def victim(tmp_path: Path) -> Path:
    """A folder of somebody's who trusts us."""
    (tmp_path / "victim" / "test").mkdir(parents=True)
    (tmp_path / "victim" / "test" / "precious").write_text("precious")
    return tmp_path / "victim"


@pytest.fixture
def theirs(tmp_path: Path) -> Path:
    """A folder of somebody's who does not mean well."""
    (tmp_path / "theirs").mkdir()
    return tmp_path / "theirs"


def is_whole(victim: Path) -> bool:
    return (victim / "test" / "precious").read_text() == "precious" and len(list(victim.rglob("*"))) == 2


def test_a_folder_that_is_a_link_is_not_entered(theirs: Path, victim: Path) -> None:
    (theirs / "artifacts").symlink_to(victim)
    with opened(theirs) as folder, pytest.raises(OSError), folder.sub("artifacts"):
        pass
    assert is_whole(victim)


def test_a_link_is_removed_and_not_what_it_leads_to(theirs: Path, victim: Path) -> None:
    (theirs / "test").symlink_to(victim / "test")
    (theirs / "tree").mkdir()
    (theirs / "tree" / "link").symlink_to(victim)
    with opened(theirs) as folder:
        for name in ("test", "tree", "absent"):
            folder.remove(name)
    assert not list(theirs.iterdir())
    assert is_whole(victim)


def test_a_fifo_that_takes_a_folders_place_is_not_waited_at(theirs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At the worst moment: after it was looked at, and before it is opened."""
    (theirs / "tree").mkdir()
    looked = os.lstat

    def exchanged(*place: Any, **more: Any) -> os.stat_result:
        found = looked(*place, **more)
        with contextlib.suppress(OSError):
            (theirs / "tree").rmdir()
            os.mkfifo(theirs / "tree")
        return found

    def waits(*_: object) -> None:
        raise TimeoutError("it waits at the FIFO")

    monkeypatch.setattr(os, "lstat", exchanged)
    signal.signal(signal.SIGALRM, waits)
    signal.alarm(5)
    try:
        with opened(theirs) as folder:
            folder.remove("tree")
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
    assert not (theirs / "tree").exists()


def test_folders_in_folders_without_end_are_said_to_be(theirs: Path) -> None:
    (theirs / "/".join(["d"] * 900)).mkdir(parents=True)
    with opened(theirs) as folder, pytest.raises(OSError, match="nested more than 100 deep"):
        folder.remove("d")


def test_nothing_is_written_through_a_link(theirs: Path, victim: Path) -> None:
    precious = victim / "test" / "precious"
    for name in ("results.json", f".results.json-{os.getpid()}"):
        (theirs / name).symlink_to(precious)
    assert write_whole(theirs / "results.json", "{}").read_text() == "{}"
    assert not (theirs / "results.json").is_symlink()
    (theirs / "new").symlink_to(precious)
    with opened(theirs) as folder, pytest.raises(FileExistsError):
        folder.create("new")
    assert is_whole(victim)


def test_only_regular_files_are_copied(theirs: Path, victim: Path, tmp_path: Path) -> None:
    (theirs / "deep" / "er").mkdir(parents=True)
    (theirs / "deep" / "er" / "file").write_text("mine")
    (theirs / "link").symlink_to(victim / "test" / "precious")
    (theirs / "folder").symlink_to(victim)
    os.mkfifo(theirs / "fifo")
    (theirs / "hard").hardlink_to(victim / "test" / "precious")
    (tmp_path / "copy").mkdir()
    with opened(tmp_path / "copy") as copy:
        copy.copy_from(theirs)
    copied = {str(path.relative_to(tmp_path / "copy")) for path in (tmp_path / "copy").rglob("*")}
    assert copied == {"deep", "deep/er", "deep/er/file", LEFT_OUT}
    left_out = (tmp_path / "copy" / LEFT_OUT).read_text()
    assert all(f"/{name}: no regular file of its own\n" in left_out for name in ("link", "folder", "fifo", "hard"))


def test_a_source_that_is_a_link_is_not_copied(theirs: Path, victim: Path, tmp_path: Path) -> None:
    (theirs / "guest").symlink_to(victim)
    with opened(tmp_path) as copy, pytest.raises(OSError):
        copy.copy_from(theirs / "guest")


def test_no_more_is_copied_than_there_is_room_for(
    theirs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folders, "MOST_FILES", 3)
    for name in ("a", "b", "c", "d"):
        (theirs / name).write_bytes(name.encode() * 1000)
    (tmp_path / "copy").mkdir()
    with opened(tmp_path / "copy") as copy:
        copy.copy_from(theirs, most_bytes=1500)
    sizes = {path.name: path.stat().st_size for path in (tmp_path / "copy").iterdir() if path.name != LEFT_OUT}
    assert sizes == {"a": 1000, "b": 500, "c": 0}
    left_out = (tmp_path / "copy" / LEFT_OUT).read_text().splitlines()
    assert left_out == [
        f"{theirs}/b: cut off, it has 1000 bytes", f"{theirs}/c: cut off, it has 1000 bytes",
        f"{theirs}: more than 3 files",
    ]  # fmt: skip
