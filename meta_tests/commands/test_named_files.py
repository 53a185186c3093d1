"""Files that are named on the command line lie in a folder of another user, who has put something else there."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from meta_tests.patience import limit
from meta_tests.qemunet_command import clean_environment
from meta_tests.samples import recordings
from meta_tests.samples.pages import healthy_run
from meta_tests.user_accounts import CHECKOUT
from qemunet_tests import named_file, trust
from qemunet_tests.__main__ import exit_code
from qemunet_tests.errors import UsageError
from qemunet_tests.images import store
from qemunet_tests.report.session_results import write_results
from qemunet_tests.throughput import recording
from qemunet_tests.throughput.judging import verdicts
from qemunet_tests.throughput.showing.plots import draw

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a link of another user's")
STRANGER = 4711


@pytest.fixture
def theirs(open_folder: Path) -> Path:
    """A folder of somebody else, where there is somebody else."""
    folder = open_folder / "theirs"
    folder.mkdir()
    if os.geteuid() == 0:
        os.chown(folder, STRANGER, STRANGER)
    return folder


@pytest.fixture
def victim(open_folder: Path) -> Path:
    file = open_folder / "victim"
    file.write_text("as it was")
    return file


def link(place: Path, target: Path) -> Path:
    """A link of the stranger's."""
    place.symlink_to(target)
    if os.geteuid() == 0:
        os.chown(place, STRANGER, STRANGER, follow_symlinks=False)
    return place


def recorded(folder: Path) -> Path:
    return recordings.write(folder / "a.jsonl")


@pytest.mark.skipif(store.available() is None, reason="there is no guest image here")
def test_an_export_overwrites_nothing_by_a_link(theirs: Path, victim: Path) -> None:
    """Whatever an unfinished file is called: its name can be foreseen."""
    file = theirs / "tiny.tar"
    for name in (f".{file.name}.{os.getpid()}", f".{file.name}-{os.getpid()}", file.name):
        link(theirs / name, victim)
    assert exit_code(["image", "export", "tiny", str(file)]) == 0
    assert victim.read_text() == "as it was"
    assert not file.is_symlink()
    assert file.stat().st_size > 1 << 20


def test_plots_overwrite_nothing_by_a_link(theirs: Path, victim: Path, tmp_path: Path) -> None:
    for name in ("ratios.svg", "ratios.png"):
        link(theirs / name, victim)
    made = recording.read(recorded(tmp_path))
    machine = verdicts.health(made)
    drawn = draw(made, verdicts.summarise(made, machine), machine, theirs)
    assert victim.read_text() == "as it was"
    assert all(path.is_file() and not path.is_symlink() for path in drawn)


@as_root
def test_a_recording_is_not_made_through_somebodys_link(theirs: Path, open_folder: Path) -> None:
    elsewhere = open_folder / "elsewhere"
    with pytest.raises(UsageError, match=r"it is a link, and .* belongs to user 4711"):
        recording.Writer(link(theirs / "a.jsonl", elsewhere))
    assert not elsewhere.exists()


@as_root
@pytest.mark.parametrize("words", [["--markdown", "page.md"], []], ids=["asked", "of-the-job"])
def test_a_summary_is_not_appended_through_somebodys_link(
    theirs: Path, victim: Path, tmp_path: Path, words: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from qemunet_tests.report.summary import append_for_the_job

    page = link(theirs / "page.md", victim)
    if words:
        same = str(recorded(tmp_path))
        assert exit_code(["compare", same, same, "--markdown", str(page)]) == 2
    else:
        monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(page))
        with pytest.raises(OSError, match="it is a link"):
            append_for_the_job("text")
    assert victim.read_text() == "as it was"


@as_root
@pytest.mark.parametrize(
    "words",
    [["report", "THEIRS"], ["compare", "THEIRS", "THEIRS"], ["run", "--failed", "THEIRS"], ["run", "--known", "FILE"]],
    ids=" ".join,
)
def test_nothing_of_ours_is_read_through_somebodys_link(
    theirs: Path, victim: Path, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """He would find it on the page, in a folder of his."""
    write_results(healthy_run(), victim.parent)
    victim.parent.joinpath("results.json").rename(victim)
    file = link(theirs / "results.json", victim)
    assert exit_code([{"THEIRS": str(theirs), "FILE": str(file)}.get(word, word) for word in words]) == 2
    assert f"{file} is a link, and belongs to user 4711" in capsys.readouterr().err
    assert [each.name for each in theirs.iterdir()] == ["results.json"]


@as_root
def test_nor_by_another_name_of_ours(theirs: Path, victim: Path) -> None:
    """Where the machine lets him give one to a file of root's (fs.protected_hardlinks)."""
    (theirs / "page.md").hardlink_to(victim)
    with pytest.raises(trust.Distrusted, match=r"it has other names, and .* belongs to user 4711"):
        named_file.to_append(theirs / "page.md")
    with pytest.raises(trust.Distrusted, match="it has other names"):
        named_file.to_read(theirs / "page.md")
    (victim.parent / "second").hardlink_to(victim)
    assert named_file.to_read(victim).read() == b"as it was"


def test_what_is_open_is_read_by_the_name_it_has_below_proc(tmp_path: Path) -> None:
    (tmp_path / "gone").write_text("text")
    with (tmp_path / "gone").open() as held:
        (tmp_path / "gone").unlink()
        for name in ("/dev/fd", "/proc/self/fd", f"/proc/{os.getpid()}/fd"):
            assert named_file.to_read(Path(name, str(held.fileno()))).read() == b"text"


def test_ones_own_link_counts(tmp_path: Path) -> None:
    """Where nobody else can have made it: the folders above this one are root's or ours."""
    (tmp_path / "link").symlink_to(tmp_path / "a.jsonl")
    recording.Writer(tmp_path / "link").close()
    assert (tmp_path / "a.jsonl").exists()
    same = str(recorded(tmp_path))
    (tmp_path / "page").symlink_to("/dev/null")
    assert exit_code(["compare", same, same, "--markdown", str(tmp_path / "page")]) == 0


@pytest.mark.parametrize(
    "words",
    [
        ("compare", "FIFO", "FIFO"),
        ("compare", "SAME", "SAME", "--markdown", "FIFO"),
        ("record", "--out", "FIFO", "--accel", "tcg"),
        ("shell", "--again", "FIFO"),
        ("run", "--target", "host", "--expect", "FIFO", "--dry-run"),
        ("run", "--report", "FIFO"),
        ("image", "import", "FIFO"),
    ],
    ids=" ".join,
)
def test_nobody_waits_at_a_fifo_for_ever(tmp_path: Path, words: tuple[str, ...]) -> None:
    os.mkfifo(tmp_path / "FIFO")
    names = {"FIFO": str(tmp_path / "FIFO"), "SAME": str(recorded(tmp_path))}
    done = subprocess.run(
        [sys.executable, "-m", "qemunet_tests", *(names.get(word, word) for word in words)],
        cwd=CHECKOUT, env=clean_environment(), capture_output=True, text=True, check=False, timeout=limit(120),
    )  # fmt: skip
    assert done.returncode == 2, done.stderr
    assert done.stderr.startswith("qemunet: ")
    assert done.stderr.count("\n") == 1


def test_a_recording_may_come_from_a_pipe(tmp_path: Path) -> None:
    """As shells spell it: <(zcat a.jsonl.gz)."""
    same = recorded(tmp_path)
    command = f"{sys.executable} -m qemunet_tests compare <(sleep 0.2; cat {same}) {same}"
    done = subprocess.run(["bash", "-c", command], cwd=CHECKOUT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_plots_take_no_settings_from_the_callers_folder(tmp_path: Path) -> None:
    """A FIFO for a file of settings: whoever opens it waits for ever."""
    os.mkfifo(tmp_path / "matplotlibrc")
    recorded(tmp_path)
    drawing = (
        "from pathlib import Path\n"
        "from qemunet_tests.throughput import recording\n"
        "from qemunet_tests.throughput.judging import verdicts\n"
        "from qemunet_tests.throughput.showing.plots import draw\n"
        "made = recording.read(Path('a.jsonl'))\n"
        "machine = verdicts.health(made)\n"
        "draw(made, verdicts.summarise(made, machine), machine, Path('plots'))\n"
    )
    subprocess.run([sys.executable, "-I", "-c", drawing], cwd=tmp_path, check=True, timeout=limit(60))
    assert (tmp_path / "plots" / "ratios.svg").is_file()
