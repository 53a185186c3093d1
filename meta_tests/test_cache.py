"""The cache: nothing is believed that somebody else can have put there."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from meta_tests.patience import limit
from meta_tests.samples import recordings as samples
from meta_tests.user_accounts import CHECKOUT, NOBODY
from qemunet_tests import cache
from qemunet_tests.errors import UsageError
from qemunet_tests.guest import template, templates
from qemunet_tests.images import image_cache
from qemunet_tests.qemu import kvm_probe_cache
from qemunet_tests.throughput import latest_recording as recordings

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
        pytest.param(lambda folder: folder.chmod(0o757), "others may write into .*/cache", id="writable-by-all"),
        pytest.param(
            lambda folder: (os.chown(folder, -1, STRANGER), folder.chmod(0o775)),
            "others may write into .*/cache",
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
        capture_output=True, text=True, timeout=limit(60), check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (2, ""), done.stderr
    assert done.stderr == (
        f"qemunet: the cache {tmp_path} cannot be believed: {tmp_path} belongs to user {STRANGER}; mend that, or name "
        "another one in QEMUNET_CACHE\n"
    )
    assert not list(tmp_path.iterdir())


def test_a_way_that_others_may_change_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    way = tmp_path / "way"
    way.mkdir()
    monkeypatch.setenv("QEMUNET_CACHE", str(way / "further" / "cache"))
    way.chmod(0o777)
    with pytest.raises(UsageError, match=f"cannot be believed: others may write into {way}; mend that"):
        cache.claim()
    # As /tmp and /var/tmp have it: nobody takes away what is not his.
    way.chmod(0o1777)
    cache.claim()


@as_root
def test_a_link_on_the_way_is_not_a_strangers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "real" / "cache").mkdir(parents=True)
    link = tmp_path / "everybodys"
    link.symlink_to("real")
    monkeypatch.setenv("QEMUNET_CACHE", str(link / "cache"))
    cache.claim()
    os.chown(link, STRANGER, -1, follow_symlinks=False)
    with pytest.raises(UsageError, match=f"{link} belongs to user 4711"):
        cache.claim()
    os.chown(link, 0, -1, follow_symlinks=False)
    os.chown(tmp_path / "real", STRANGER, -1)
    with pytest.raises(UsageError, match=f"{tmp_path}/real belongs to user 4711"):
        cache.claim()


@pytest.mark.parametrize("shelf", cache.SHELVES)
def test_a_folder_in_it_that_others_may_write_is_refused(chosen: Path, shelf: str) -> None:
    cache.make(shelf).chmod(0o777)
    with pytest.raises(UsageError, match=f"others may write into {chosen}/{shelf}"):
        cache.claim()


def a_template(chosen: Path) -> Path:
    """One that is whole, on the shelf."""
    made = chosen.with_name("made")
    made.mkdir()
    for name in (template.MEMORY, template.STATE, template.CONSOLE):
        (made / name).write_bytes(b"template")
    folder = cache.make(templates.SHELF) / "0123"
    template.store(made, folder, ("e1000",), {}, os.getuid())
    return folder


def spoilings(*of: str) -> list[Any]:
    """What somebody else can have done to the files of a folder or to the folder (".")."""
    return [
        pytest.param(name, spoil, id=f"{how}-{name}", marks=marks)
        for name in of
        for how, spoil, marks in (
            ("a-strangers", lambda file: os.chown(file, STRANGER, -1), as_root),
            ("writable-by-all", lambda file: file.chmod(0o666 if file.is_file() else 0o777), []),
        )
    ]


@pytest.mark.parametrize(("name", "spoil"), spoilings(".", template.MANIFEST, template.MEMORY, template.STATE))
def test_somebody_elses_template_is_passed_over(chosen: Path, name: str, spoil: Callable[[Path], None]) -> None:
    folder = a_template(chosen)
    assert [entry.name for entry in templates.listing()] == ["0123"]
    assert templates.Templates._found("0123") == folder
    spoil(folder / name)
    said: list[str] = []
    cache.claim(notice=said.append)
    assert len(said) == 1, said
    assert said[0].endswith("it is passed over")
    assert str((folder / name).resolve()) in said[0]
    assert templates.Templates._found("0123") is None
    if name != ".":
        with pytest.raises(template.TemplateDamaged, match=f"{name}.*|others may write"):
            template.copy(folder, chosen / "taken")


@as_root
def test_a_strangers_link_to_a_good_template_is_passed_over(chosen: Path) -> None:
    """He may have it lead elsewhere by the time that it is followed."""
    link = a_template(chosen).with_name("4567")
    link.symlink_to("0123")
    assert templates.Templates._found("4567")
    os.chown(link, STRANGER, -1, follow_symlinks=False)
    assert templates.Templates._found("4567") is None


def test_a_template_is_two_files_and_no_others(chosen: Path) -> None:
    """A manifest that names files elsewhere has nothing copied from there, nor to there."""
    folder, elsewhere = a_template(chosen), chosen.with_name("elsewhere")
    manifest = json.loads((folder / template.MANIFEST).read_text())
    manifest["sha256"] = {"../../../elsewhere": next(iter(manifest["sha256"].values()))}
    (folder / template.MANIFEST).write_text(json.dumps(manifest))
    with pytest.raises(template.TemplateDamaged):
        template.copy(folder, chosen / "taken")
    assert not elsewhere.exists()


@pytest.mark.parametrize("name", [template.MEMORY, template.STATE])
def test_what_qemus_user_put_in_a_templates_place_is_not_copied(chosen: Path, name: str) -> None:
    """He owns the folder that a template is made in."""
    secret = chosen.with_name("secret")
    secret.write_text("of root's")
    made = chosen.with_name("made")
    made.mkdir()
    for each in (template.MEMORY, template.STATE, template.CONSOLE):
        (made / each).write_bytes(b"template")
    (made / template.MANIFEST).symlink_to(secret)
    template.store(made, chosen.with_name("stored"), (), {}, os.getuid())
    assert secret.read_text() == "of root's"
    (made / name).unlink()
    (made / name).symlink_to(secret)
    with pytest.raises(OSError, match="symbolic link"):
        template.store(made, chosen.with_name("again"), (), {}, os.getuid())


def locked_shelf() -> AbstractContextManager[None]:
    return image_cache.locked(image_cache.own_shelf())


@pytest.mark.parametrize(
    "lock", [pytest.param(locked_shelf, id="images"), pytest.param(templates._locked, id="templates")]
)
def test_a_lock_that_is_a_link_harms_nothing(chosen: Path, lock: Callable[[], AbstractContextManager[None]]) -> None:
    victim = chosen.with_name("victim")
    victim.write_text("of root's")
    for folder in ("images", "templates"):
        (cache.make(folder) / ".lock").symlink_to(victim)
    with pytest.raises((UsageError, OSError)), lock():
        pass
    assert victim.read_text() == "of root's"


@as_root
def test_a_lock_is_nobody_elses_to_hold(open_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever may open a file may lock it, and keep it locked for ever. Earlier versions let everybody read it."""
    monkeypatch.setenv("QEMUNET_CACHE", str(open_folder / "cache"))
    lock = open_folder / "cache" / "images" / ".lock"
    become = ["setpriv", f"--reuid={STRANGER}", "--clear-groups"]
    for _ in range(2):
        with locked_shelf():
            pass
        subprocess.run([*become, "test", "-e", lock], check=True)
        held = subprocess.run([*become, "flock", "--nonblock", lock, "true"], capture_output=True, check=False)
        assert b"Permission denied" in held.stderr
        lock.chmod(0o644)


def test_the_lock_of_kvms_trial_harms_nothing(chosen: Path) -> None:
    victim = chosen.with_name("victim")
    victim.write_text("of root's")
    (cache.make() / f".{kvm_probe_cache.FILE}.lock").symlink_to(victim)
    with kvm_probe_cache.one_at_a_time():
        pass
    assert victim.read_text() == "of root's"


@as_root
def test_a_strangers_recording_is_not_the_latest(chosen: Path) -> None:
    place = cache.make(recordings.FOLDER) / "20260101T0000-1.jsonl"
    made = samples.session()
    samples.write(place, made)
    asked = (made["machine"]["id"], made["qemu"]["binary"], made["accel"]["used"], set())
    found = recordings.latest(*asked)
    assert found and found.path == place
    os.chown(place, STRANGER, -1)
    assert recordings.latest(*asked) is None


def test_a_mask_that_lets_all_write_does_not_spoil_a_cache(chosen: Path) -> None:
    before = os.umask(0)
    try:
        cache.make("images")
    finally:
        os.umask(before)
    cache.claim()


IN_A_USER_NAMESPACE = """
import os
from qemunet_tests import cache, trust
from qemunet_tests.isolation.syscalls import CLONE_NEWUSER, unshare
def believed():
    return [entry.name for entry in cache.entries("templates")]
cache.claim()
before, uid = believed(), os.getuid()
unshare(CLONE_NEWUSER)
open("/proc/self/uid_map", "w").write(f"{uid} {uid} 1")
print(before, believed())
"""


@as_root
def test_in_a_lab_strangers_are_not_taken_for_root() -> None:
    """There both look like nobody; the user of this test is another one, whom the system need not know."""
    with tempfile.TemporaryDirectory(dir="/var/tmp", prefix="qemunet-") as folder:
        for name, uid in (("mine", 4712), ("roots", 0), ("strangers", STRANGER)):
            place = Path(folder, "templates", name)
            place.mkdir(parents=True)
            os.chown(place, uid, -1)
        for path in (folder, f"{folder}/templates"):
            os.chown(path, 4712, -1)
        environment = {"QEMUNET_CACHE": folder, "PATH": "/usr/bin:/bin", "PYTHONPATH": str(CHECKOUT)}
        done = subprocess.run(
            ["setpriv", "--reuid=4712", "--regid=4712", "--clear-groups", sys.executable, "-c", IN_A_USER_NAMESPACE],
            env=environment, capture_output=True, text=True, timeout=limit(60), check=False,
        )  # fmt: skip
    assert done.stdout == "['mine', 'roots'] ['mine', 'roots']\n", done.stderr
