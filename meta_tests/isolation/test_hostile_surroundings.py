"""Folders on the way to a file, PATH, COLUMNS, the locale and the umask are not ours, and may be anybody's."""

import os
import subprocess
import sys
from pathlib import Path

import matplotlib.font_manager
import pytest

from meta_tests.patience import limit
from meta_tests.qemunet_command import clean_environment
from meta_tests.samples import recordings
from meta_tests.user_accounts import CHECKOUT
from qemunet_tests import named_file, named_folder, trust
from qemunet_tests.__main__ import exit_code
from qemunet_tests.host.search_path import search_path
from qemunet_tests.isolation import on_real_host
from qemunet_tests.report.session_results import write_whole

STRANGER = 4711
pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can act as another user")
#: Holds both ends of a FIFO and says nothing.
SILENT = "import os, sys, time; os.open(sys.argv[1], os.O_RDWR); print(flush=True); time.sleep(600)"


@pytest.fixture
def theirs(open_folder: Path) -> Path:
    folder = open_folder / "theirs"
    folder.mkdir()
    os.chown(folder, STRANGER, STRANGER)
    return folder


@pytest.fixture
def victim(open_folder: Path) -> Path:
    """A folder of ours with a report in it."""
    folder = open_folder / "victim"
    (folder / "artifacts").mkdir(parents=True)
    (folder / "report.html").write_text("as it was")
    return folder


def led_to(victim: Path, theirs: Path) -> Path:
    link = theirs / "out"
    link.symlink_to(victim)
    os.chown(link, STRANGER, STRANGER, follow_symlinks=False)
    return link


def qemunet(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "qemunet_tests", *words], cwd=CHECKOUT, env={**clean_environment(), **environment},
        capture_output=True, text=True, check=False, timeout=limit(60),
    )  # fmt: skip


def is_refused(done: subprocess.CompletedProcess[str], why: str) -> bool:
    return done.returncode == 2 and why in done.stderr and done.stderr.count("\n") == 1


@pytest.mark.parametrize("below", ["", "/new/report"], ids=["itself", "below"])
def test_a_report_is_not_led_elsewhere_by_somebodys_link(theirs: Path, victim: Path, below: str) -> None:
    done = qemunet("run", "user/address", "--report", f"{led_to(victim, theirs)}{below}")
    assert is_refused(done, "is a link, and belongs to user 4711")
    assert sorted(path.name for path in victim.rglob("*")) == ["artifacts", "report.html"]


def test_nor_is_anything_else_that_is_written(theirs: Path, victim: Path) -> None:
    link = led_to(victim, theirs)
    with pytest.raises(trust.Distrusted):
        write_whole(link / "page.html", "text")
    for make_folder in (False, True):
        with pytest.raises(trust.Distrusted):
            named_file.to_append(link / "new" / "a.jsonl" if make_folder else link / "page.md", make_folder)
    assert exit_code(["image", "export", "tiny", str(link / "tiny.tar")]) == 2
    assert sorted(path.name for path in victim.rglob("*")) == ["artifacts", "report.html"]


def test_links_of_roots_and_ways_back_are_followed(open_folder: Path) -> None:
    (open_folder / "a" / "b").mkdir(parents=True)
    (open_folder / "a" / "back").symlink_to("../a/b")
    (open_folder / "whole").symlink_to(open_folder / "a")
    descriptor = named_folder.descriptor_of(open_folder / "whole" / "back" / ".." / "new" / "two", make=True)
    assert Path(f"/proc/self/fd/{descriptor}").readlink() == open_folder / "a" / "new" / "two"
    os.close(descriptor)
    (open_folder / "round").symlink_to("round")
    with pytest.raises(OSError, match="levels of symbolic links"):
        named_folder.descriptor_of(open_folder / "round")


def test_nothing_is_left_open(open_folder: Path) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    os.close(named_folder.descriptor_of(open_folder))
    with pytest.raises(FileNotFoundError):
        named_folder.descriptor_of(open_folder / "absent" / "more")
    assert len(list(Path("/proc/self/fd").iterdir())) == before


@pytest.mark.parametrize(
    "words",
    [("compare", "DIR", "DIR"), ("modes", "DIR"), ("compare", "FIFO", "FIFO"), ("shell", "--again", "FIFO"),
     ("compare", "SAME", "SAME", "--markdown", "FIFO")],
    ids=" ".join,
)  # fmt: skip
def test_nobody_waits_at_a_fifo_whose_other_end_somebody_holds(
    theirs: Path, tmp_path: Path, words: tuple[str, ...]
) -> None:
    fifo = theirs / "results.json"
    os.mkfifo(fifo)
    os.chown(fifo, STRANGER, STRANGER)
    same = recordings.write(tmp_path / "a.jsonl")
    names = {"DIR": str(theirs), "FIFO": str(fifo), "SAME": str(same)}
    with subprocess.Popen([sys.executable, "-c", SILENT, str(fifo)], stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        try:
            done = qemunet(*(names.get(word, word) for word in words))
        finally:
            holder.kill()
    assert is_refused(done, "it is no regular file, and belongs to user 4711")


def test_a_pipe_that_sudos_caller_made_is_read(tmp_path: Path) -> None:
    """It has no name that anybody could have put a silent one in the place of."""
    same = recordings.write(tmp_path / "a.jsonl")
    reading, writing = os.pipe()
    os.fchown(reading, STRANGER, STRANGER)
    os.write(writing, same.read_bytes()[:1000])
    os.close(writing)
    with named_file.to_read(Path(f"/proc/self/fd/{reading}")) as stream:
        assert len(stream.read()) == 1000
    os.close(reading)


@pytest.mark.parametrize("place", [".", "below"])
def test_root_looks_for_no_programs_in_somebodys_folder(theirs: Path, place: str) -> None:
    """One of root's in a folder of somebody's is no better: he gives its name to another."""
    (theirs / "below").mkdir()
    assert search_path("/usr/bin", environment={"PATH": str(theirs / place)}) == "/usr/bin"


def test_a_runs_folder_is_not_made_in_somebodys(theirs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(on_real_host, "ROOM_BYTES", 0)
    assert on_real_host._serves(Path("/tmp"))
    assert not on_real_host._serves(theirs)


def test_a_run_keeps_nothing_in_the_home_that_it_was_given(theirs: Path, victim: Path) -> None:
    """sudo may leave HOME as it was."""
    tables = theirs / ".cache" / "scapy"
    tables.mkdir(parents=True)
    for name in ("ethertypes", "protocols", "services", "manufdb"):
        (tables / f"{name}.pickle").symlink_to(victim / "report.html")
    done = qemunet("run", "user/dhcp-options-exact", "--quiet", HOME=str(theirs))
    assert done.returncode == 0, done.stdout + done.stderr
    assert (victim / "report.html").read_text() == "as it was"
    assert len(list(tables.iterdir())) == 4


#: Prints nothing and makes what plots are made of.
LOADS_PLOTS = "from qemunet_tests.throughput.showing import plots; plots.load_library()"


@pytest.mark.parametrize("name", ["HOME", "XDG_CACHE_HOME", "MPLCONFIGDIR"])
def test_nor_do_plots(theirs: Path, victim: Path, name: str) -> None:
    """matplotlib writes its list of fonts through any link, whose name has matplotlib's version."""
    lists = theirs / {"HOME": ".cache/matplotlib", "XDG_CACHE_HOME": "matplotlib", "MPLCONFIGDIR": "."}[name]
    lists.mkdir(parents=True, exist_ok=True)
    for version in (330, 390, matplotlib.font_manager.FontManager.__version__):
        (lists / f"fontlist-v{version}.json").symlink_to(victim / "report.html")
    environment = {**clean_environment(), name: str(theirs), "TMPDIR": str(theirs)}
    before = sorted(lists.iterdir())
    subprocess.run([sys.executable, "-c", LOADS_PLOTS], cwd=CHECKOUT, env=environment, check=True, timeout=limit(60))
    assert (victim / "report.html").read_text() == "as it was"
    assert sorted(lists.iterdir()) == before


@pytest.mark.parametrize("columns", ["0", "1", "abc", "-5", "9" * 30])
def test_a_width_that_cannot_be(columns: str) -> None:
    done = qemunet("claims", "user/address", COLUMNS=columns)
    assert done.returncode == 0, done.stderr
    assert "10.0.2.15" in done.stdout


def test_a_character_that_the_encoding_has_not() -> None:
    done = qemunet("claims", PYTHONIOENCODING="ascii")
    assert (done.returncode, done.stderr) == (0, "")
    assert "\\u2026" in done.stdout


def test_a_cache_with_a_name_that_no_file_can_have() -> None:
    assert is_refused(qemunet("image", "list", QEMUNET_CACHE="/" + "a" * 300), "File name too long")


@pytest.mark.slow
def test_a_run_under_a_umask_that_closes_everything(open_folder: Path) -> None:
    """QEMU is somebody else, and reads what the run makes; the report stays closed, as was asked."""
    report = open_folder / "report"
    words = f"umask 077; exec {sys.executable} -m qemunet_tests run user/address -n 1 --accel tcg --report {report}"
    done = subprocess.run(
        ["sh", "-c", words], cwd=CHECKOUT, env=clean_environment(), capture_output=True, text=True, check=False,
        timeout=limit(200),
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert report.stat().st_mode & 0o777 == 0o700


@pytest.mark.slow
def test_a_report_is_nobody_elses_to_write_under_a_umask_that_opens_everything(open_folder: Path) -> None:
    report = open_folder / "new" / "report"
    run = f"{sys.executable} -m qemunet_tests run user/address -n 1 --accel tcg --keep --report {report}"
    done = subprocess.run(
        ["sh", "-c", f"umask 000; exec {run}"],
        cwd=CHECKOUT, env=clean_environment(), capture_output=True, text=True, check=False,
        timeout=limit(200),
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    made = [report.parent, report, *report.rglob("*")]
    assert [path for path in made if path.stat().st_mode & 0o022] == []


#: Started by a parent that wants to hear nothing of its children, and has put signals off.
DEAF = """
import os, signal, sys
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGCHLD, signal.SIGTERM, signal.SIGINT])
os.execvp(sys.argv[1], sys.argv[1:])
"""


@pytest.mark.slow
@pytest.mark.parametrize(("words", "said"), [
    ("doctor --mode user", "possible"),
    ("run bridge/acl-deny user/lease-time -n 1 --accel tcg", "2 holds"),
])  # fmt: skip
def test_a_parent_that_ignores_how_children_end(words: str, said: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", DEAF, sys.executable, "-m", "qemunet_tests", *words.split()],
        cwd=CHECKOUT, env=clean_environment(), capture_output=True, text=True, check=False, timeout=limit(200),
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert said in done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("words", [
    pytest.param('mkdir gone && cd gone && rmdir ../gone && exec "$@"', id="removed"),
    pytest.param('mkdir -m 700 shut && cd shut && exec setpriv --reuid=65534 --clear-groups "$@"', id="shut"),
])  # fmt: skip
def test_a_folder_that_cannot_be_entered_any_more(open_folder: Path, words: str) -> None:
    run = [str(CHECKOUT / "bootstrap"), "qemunet", "run", "user/address", "-n", "1", "--accel", "tcg"]
    done = subprocess.run(
        ["sh", "-c", words, "sh", *run], cwd=open_folder, capture_output=True, text=True, check=False,
        env={**clean_environment(), "HOME": "/nonexistent"}, timeout=limit(200),
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
