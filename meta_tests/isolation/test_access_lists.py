"""Who may write by an access control list is asked as who may by the mode, whose bits of the group are its mask."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from meta_tests.patience import limit
from meta_tests.planted.granted import ACCESS, DEFAULT, GROUP, USER, grant
from meta_tests.qemunet_command import clean_environment
from meta_tests.user_accounts import CHECKOUT
from qemunet_tests import cache, trust
from qemunet_tests.errors import UsageError
from qemunet_tests.host.search_path import search_path
from qemunet_tests.qemu import own_build

STRANGER = 4711
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root does not believe what is his group's")


@pytest.fixture
def granted(open_folder: Path) -> Path:
    """A file that belongs to us, and that the list of a stranger is put at."""
    file = open_folder / "file"
    file.write_text("as it was")
    file.chmod(0o755)
    return file


def judged(path: Path) -> str | None:
    """By its descriptor as by its name."""
    by_name = trust.against_entry(path)
    try:
        trust.opened(path).close()
    except trust.Distrusted as distrusted:
        assert str(distrusted) == by_name
    else:
        assert by_name is None
    return by_name


@pytest.mark.parametrize("kind", [USER, GROUP], ids=["user", "group"])
def test_what_a_list_lets_a_stranger_write_is_not_believed(granted: Path, kind: int) -> None:
    assert judged(granted) is None
    grant(granted, STRANGER, kind)
    assert judged(granted) == f"others may write into {granted}"


@pytest.mark.parametrize("kind", [USER, GROUP], ids=["user", "group"])
def test_what_the_mask_forbids_is_no_writing(granted: Path, kind: int) -> None:
    grant(granted, STRANGER, kind, mask=0o5)
    assert judged(granted) is None


@pytest.mark.parametrize("number", [0, os.getuid()])
def test_whom_the_mode_would_be_believed_of_may_be_named(granted: Path, number: int) -> None:
    grant(granted, number)
    assert judged(granted) is None


def test_what_the_mask_allows_nobody_has_yet(granted: Path) -> None:
    """The bits of the group, which is anybody's, say more than its entry."""
    if os.geteuid() == 0:
        os.chown(granted, 0, STRANGER)
    grant(granted, os.getuid())
    assert granted.stat().st_mode & 0o070 == 0o070
    assert judged(granted) is None


def test_a_link_and_the_way_to_a_file_are_judged_alike(open_folder: Path, granted: Path) -> None:
    link = open_folder / "link"
    link.symlink_to(granted)
    assert trust.against_entry(link) is None
    grant(open_folder, STRANGER)
    assert trust.against_the_way_to(granted) == f"others may write into {open_folder}"
    assert trust.against_entry(link) == f"others may write into {open_folder}"
    # As in /tmp: nobody takes away what is not his.
    open_folder.chmod(0o1777)
    assert trust.against_the_way_to(granted) is None


@as_root
@pytest.mark.parametrize("place", [".", "below"])
def test_root_looks_for_no_programs_where_a_list_lets_others_write(open_folder: Path, place: str) -> None:
    """In a folder, or in one that gives it its name."""
    (open_folder / "below").mkdir()
    path = {"PATH": str(open_folder / place)}
    assert search_path("/usr/bin", environment=path) != "/usr/bin"
    os.chown(open_folder, 0, STRANGER)
    open_folder.chmod(0o775)
    # Debian's /usr/local is its group's to write to.
    assert search_path("/usr/bin", environment=path) != "/usr/bin"
    grant(open_folder, STRANGER)
    assert search_path("/usr/bin", environment=path) == "/usr/bin"


@as_root
def test_root_executes_no_build_that_a_list_lets_others_write(open_folder: Path) -> None:
    build = open_folder / "true"
    build.write_bytes(Path("/bin/true").read_bytes())
    build.chmod(0o755)
    assert own_build.program(build, "--passt") == build
    grant(build, STRANGER)
    with pytest.raises(UsageError, match="which others can have written: others may write into"):
        own_build.program(build, "--passt")


def test_a_cache_is_not_made_for_whom_the_folder_around_names(
    open_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is made in a folder with a default list is given it, whatever the umask says."""
    grant(open_folder, STRANGER, name=DEFAULT)
    monkeypatch.setenv("QEMUNET_CACHE", str(open_folder / "cache"))
    made = cache.make("images") / "file"
    made.write_text("")
    assert trust.against_entry(made) is None
    cache.claim()


@pytest.mark.slow
def test_a_report_is_nobody_elses_to_write_where_the_folder_around_has_a_default_list(open_folder: Path) -> None:
    grant(open_folder, STRANGER, name=DEFAULT)
    report = open_folder / "new" / "report"
    words = ("run", "user/address", "-n", "1", "--accel", "tcg", "--keep", "--report", str(report))
    done = subprocess.run(
        [sys.executable, "-m", "qemunet_tests", *words], cwd=CHECKOUT, env=clean_environment(),
        capture_output=True, text=True, check=False, timeout=limit(200),
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    made = [report.parent, report, *report.rglob("*")]
    listed = [path for path in made if ACCESS in os.listxattr(path)]
    assert report in listed
    assert [path for path in listed if path.stat().st_mode & 0o020] == []
