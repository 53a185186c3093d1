"""The cache: nothing is believed that somebody else can have put there."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from meta_tests.accounts import CHECKOUT, NOBODY
from qemunet_tests.harness import cache
from qemunet_tests.harness.errors import UsageError

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can make folders of other users")
STRANGER = 4711


@pytest.fixture
def chosen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "cache"
    monkeypatch.setenv("QEMUNET_CACHE", str(folder))
    return folder


@pytest.fixture
def homeless(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The cache of an ordinary user without a home, beside those of others."""
    for name in ("QEMUNET_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", "/nonexistent")
    monkeypatch.setattr(os, "getuid", lambda: os.geteuid() or NOBODY)
    monkeypatch.setattr(cache, "EVERYBODYS", tmp_path)
    return tmp_path / f"qemunet-{os.getuid()}"


def test_a_cache_that_is_not_there_is_made_later(chosen: Path) -> None:
    cache.claim()
    assert not chosen.exists()


@pytest.mark.parametrize("mode", [0o700, 0o755, 0o775])
def test_ones_own_is_believed(chosen: Path, mode: int) -> None:
    chosen.mkdir()
    chosen.chmod(mode)
    cache.claim()


@pytest.mark.parametrize(
    ("spoil", "complaint"),
    [
        pytest.param(lambda folder: folder.chmod(0o757), "others may write into the cache", id="writable-by-all"),
        pytest.param(
            lambda folder: (os.chown(folder, -1, STRANGER), folder.chmod(0o775)),
            "others may write into the cache",
            id="writable-by-a-group",
            marks=as_root,
        ),
        pytest.param(
            lambda folder: os.chown(folder, STRANGER, -1), "belongs to user 4711", id="a-strangers", marks=as_root
        ),
        pytest.param(
            lambda folder: os.chown(_turned_into_link(folder), STRANGER, -1, follow_symlinks=False),
            "belongs to user 4711",
            id="a-strangers-link",
            marks=as_root,
        ),
    ],
)
def test_what_others_could_have_written_is_refused(
    chosen: Path, spoil: Callable[[Path], object], complaint: str
) -> None:
    chosen.mkdir()
    spoil(chosen)
    for to_write in (True, False):
        with pytest.raises(UsageError, match=f"{complaint}.* or name another one in QEMUNET_CACHE"):
            cache.claim(to_write)


def _turned_into_link(folder: Path) -> Path:
    folder.rename(folder.with_name("elsewhere"))
    folder.symlink_to("elsewhere")
    return folder


def test_among_others_caches_ones_own_is_taken_before_it_is_needed(homeless: Path) -> None:
    cache.claim(to_write=False)
    assert not homeless.exists()
    cache.claim()
    assert not homeless.stat().st_mode & 0o022
    assert cache.cache_root() == homeless


@as_root
@pytest.mark.parametrize("words", ["run user/address", "image list", "image build", "shell user"])
def test_every_command_refuses_a_strangers_cache(tmp_path: Path, words: str) -> None:
    os.chown(tmp_path, STRANGER, -1)
    done = subprocess.run(
        [sys.executable, "-m", "qemunet_tests", *words.split()],
        cwd=CHECKOUT, env={**os.environ, "QEMUNET_CACHE": str(tmp_path)}, stdin=subprocess.DEVNULL,
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (2, ""), done.stderr
    assert done.stderr == (
        f"qemunet: the cache {tmp_path} belongs to user {STRANGER}: remove it, or name another one in QEMUNET_CACHE\n"
    )
    assert not list(tmp_path.iterdir())
