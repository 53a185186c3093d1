"""What all workers of a run read is there once."""

from pathlib import Path

import pytest

from meta_tests.isolation.leftovers import Seen
from meta_tests.isolation.runs import Start, by_root_first, standing
from qemunet_tests.errors import HarnessError
from qemunet_tests.isolation import namespaces
from qemunet_tests.isolation.shared_files import made_once

pytest_plugins = "meta_tests.isolation.runs"


def mapped_memory(guest: Seen) -> set[str]:
    """The file systems and inodes of the template that a guest maps: each tmpfs is a file system of its own."""
    rows = [line.split() for line in Path(f"/proc/{guest.pid}/maps").read_text().splitlines()]
    return {f"{row[3]} {row[4]}" for row in rows if len(row) > 5 and row[5].endswith("/memory")}


@by_root_first
def test_guests_of_two_workers_map_one_template(start: Start) -> None:
    run = standing(start, 2)
    guests = [process for process in run.processes() if process.is_guest]
    assert len({guest.parent for guest in guests}) == 2, guests
    assert len(set[str]().union(*map(mapped_memory, guests))) == 1


def test_what_is_made_once_is_not_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(namespaces, "_scratch", [tmp_path])
    first = made_once("thing", lambda folder: folder.mkdir())
    assert made_once("thing", lambda _: pytest.fail("made a second time")) == first
    assert first.is_dir()


def test_what_could_not_be_made_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(namespaces, "_scratch", [tmp_path])

    def fails(folder: Path) -> None:
        folder.mkdir()
        raise HarnessError("no room")

    with pytest.raises(HarnessError, match="no room"):
        made_once("thing", fails)
    assert made_once("thing", lambda folder: folder.mkdir()).is_dir()
