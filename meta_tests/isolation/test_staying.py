"""Where a run on a real host writes, by somebody who may mount nothing: there is room, and sockets can have names."""

import socket
from pathlib import Path

import pytest

from qemunet_tests.errors import Unavailable
from qemunet_tests.isolation import on_real_host

#: What is put below the folder's name: the longest is samba's.
BELOW = "qemunet-12345678/guest-100/qemu-smb.ABCDEF/private/msg.sock/12345"


@pytest.fixture
def roomy(monkeypatch: pytest.MonkeyPatch) -> set[Path]:
    """The folders that have room; as in a container, /dev/shm has not."""
    found: set[Path] = set()
    monkeypatch.setattr(on_real_host, "_serves", lambda place: place in found)
    return found


@pytest.fixture
def long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / ("long" * 25)
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    return folder


def test_a_long_name_is_left_for_a_shorter_one(roomy: set[Path], long: Path) -> None:
    roomy |= {long, Path("/tmp")}
    made = on_real_host._new_folder()
    try:
        assert made.parent == Path("/tmp")
        assert made.stat().st_mode & 0o777 == 0o755
        deepest = made.parent / BELOW
        assert len(str(deepest)) <= 107
    finally:
        made.rmdir()
    assert list(long.iterdir()) == []


def test_the_longest_name_that_is_taken_leaves_room_for_sockets() -> None:
    longest = "/" + "x" * (on_real_host.LONGEST_NAME_BYTES - 1)
    with socket.socket(socket.AF_UNIX) as listener, pytest.raises(FileNotFoundError):
        listener.bind(f"{longest}/{BELOW}")


def test_where_only_a_long_name_has_room_that_is_said(roomy: set[Path], long: Path) -> None:
    roomy.add(long)
    with pytest.raises(Unavailable, match=f"only {long} has room for guests, and no socket can have so long a name"):
        on_real_host._new_folder()
    assert list(long.iterdir()) == []


def test_where_nothing_has_room_the_run_sees_how_far_it_gets(roomy: set[Path], long: Path) -> None:
    assert not roomy
    assert on_real_host._place() == Path("/var/tmp")
