"""Building an image without a network, and without room."""

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from meta_tests.isolation.leftovers import FOLDER_PREFIX
from meta_tests.qemunet_command import clean_environment

REMEDY = (
    "qemunet: remedy: check this machine's network and package sources, or import an image: qemunet image import FILE"
)


@pytest.fixture
def cache() -> Iterator[Path]:
    """A cache in which nothing is."""
    with tempfile.TemporaryDirectory(dir="/var/tmp", prefix=FOLDER_PREFIX) as folder:
        yield Path(folder)


def built(cache: Path, *before: str, **environment: str) -> list[str]:
    """What building says on standard error but for its progress. It must fail by exit code 3, and leave nothing."""
    done = subprocess.run(
        [*before, sys.executable, "-m", "qemunet_tests", "image", "build"],
        env={**clean_environment(), "QEMUNET_CACHE": str(cache), **environment},
        stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=500,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (3, ""), done.stderr
    assert [path.name for path in cache.glob("images/*")] in ([], [".lock"])
    return [line for line in done.stderr.splitlines() if not line.startswith("[")]


@pytest.mark.parametrize("lists", ["those-of-the-machine", "none"])
def test_offline_it_says_that_it_is(cache: Path, tmp_path: Path, lists: str) -> None:
    environment = {}
    if lists == "none":
        (tmp_path / "lists" / "partial").mkdir(parents=True)
        (tmp_path / "apt.conf").write_text(f'Dir::State::Lists "{tmp_path}/lists";\n')
        environment["APT_CONFIG"] = str(tmp_path / "apt.conf")
    complaint, remedy = built(cache, "unshare", "--map-root-user", "--net", **environment)
    assert complaint.startswith(
        "qemunet: a guest image cannot be built offline, and no package source can be reached: "
    )
    assert remedy == REMEDY


@pytest.mark.parametrize("room", ["1m", "4m", pytest.param("40m", marks=pytest.mark.slow)])
def test_no_room_is_told_as_such(cache: Path, room: str) -> None:
    (complaint,) = built(cache, sys.executable, "-m", "meta_tests.planted.small_disks", f"{cache}={room}", "--")
    assert complaint == (
        f"qemunet: there is no room for the guest image in {cache}/images: No space left on device; free some (it "
        "takes 500 MB while it is built), or name another folder in QEMUNET_CACHE"
    )
