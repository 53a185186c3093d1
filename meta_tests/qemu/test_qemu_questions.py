"""Asking a QEMU about itself: as whom, what becomes of what it starts, and what a QEMU that was killed has said."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from meta_tests.qemunet_command import qemunet
from qemunet_tests.deadline import Deadline
from qemunet_tests.errors import HarnessError, UsageError
from qemunet_tests.isolation import enclosure
from qemunet_tests.isolation.identity import unprivileged
from qemunet_tests.qemu import qemu_binaries, qemu_facts, qemu_questions, qmp_schema, relocation
from qemunet_tests.qemu.kvm_probe import launch_as_guests
from qemunet_tests.settings import from_options

FORKING = """
import os
while True:
    try:
        os.fork()
    except BlockingIOError:
        pass
"""


def owned_by(process: Path, uid: int) -> bool:
    try:
        return process.stat().st_uid == uid
    except OSError:
        return False


def wrapper(folder: Path, text: str, name: str = "qemu-system-x86_64") -> Path:
    file = folder / name
    file.write_text(f"#!/bin/sh\n{text}\n")
    file.chmod(0o755)
    return file


@pytest.fixture
def log(open_folder: Path) -> Path:
    file = open_folder / "log"
    file.touch()
    file.chmod(0o666)
    return file


@pytest.fixture(autouse=True)
def nothing_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(qemu_facts, "_known", {})


@pytest.fixture
def real() -> str:
    found = shutil.which("qemu-system-x86_64")
    assert found
    return found


def test_no_question_is_asked_as_root(open_folder: Path, log: Path, real: str) -> None:
    asked = wrapper(open_folder, f'echo "$(id -u) $*" >>{log}; exec {real} "$@"')
    found = qemu_facts.find(str(asked))
    assert found.slirp == qemu_facts.find(real).slirp
    qemu_binaries.begin({"PATH": str(open_folder)}, ())()
    lines = log.read_text().splitlines()
    assert {line.split()[0] for line in lines} == {str(unprivileged().uid)}
    assert not [line for line in lines if line.startswith("0 ")] or os.geteuid() != 0
    questions = {line.partition(" ")[2] for line in lines}
    assert {"--version", "-help", "-machine help"} <= questions
    assert [question for question in questions if question.startswith("-M none")]


@pytest.mark.parametrize("answer", [
    "[1, 2]", '[{"meta-type": "command"}]', '[{"name": "x", "meta-type": "command"}]', '[{"name": []}]', "[null]",
    '[{"name": "netdev_add", "meta-type": "command", "arg-type": "y"}]', "[" * 20_000,
])  # fmt: skip
def test_what_is_no_schema_is_the_answer_of_a_qemu_that_tells_none(open_folder: Path, answer: str) -> None:
    (open_folder / "answer").write_text(f'{{"QMP": {{}}}}\n{{"return": {{}}}}\n{{"return": {answer}}}\n')
    lying = wrapper(open_folder, f"cat {open_folder}/answer")
    with pytest.raises(HarnessError, match="asked for the schema of its monitor, says"):
        qmp_schema.options(lying, unprivileged())


def test_a_wrapper_that_does_not_exec_leaves_nothing(open_folder: Path, real: str) -> None:
    mark = f"10{os.getpid()}"
    daemon = f"setsid sh -c 'sleep {mark} & sleep {mark}' & (setsid sleep {mark} &)"
    asked = wrapper(open_folder, f'{daemon}\n{real} "$@"')
    assert qemu_facts.find(str(asked)).helper_path == qemu_facts.find(real).helper_path
    qemu_binaries.begin({"PATH": str(open_folder)}, ())()
    assert not running(mark)


def test_what_hangs_is_ended_with_its_children(open_folder: Path) -> None:
    mark = f"11{os.getpid()}"
    hangs = wrapper(open_folder, f"setsid sleep {mark} & sleep {mark}; true")
    answer = enclosure.ask({"it": [str(hangs)]}, 1.0)["it"]
    assert answer.trouble == "does not answer in time"
    assert not running(mark)


@pytest.mark.skipif(os.geteuid() != 0, reason="what it may fork is counted by a user of its own")
def test_what_forks_without_end_is_ended() -> None:
    """Whoever kills these one by one never comes to an end."""
    uid = 1_000_000 + os.getpid()
    become = ["setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups", "--", "prlimit", "--nproc=40"]
    enclosure.ask({"it": [*become, sys.executable, "-I", "-S", "-c", FORKING]}, 2.0)
    left = [process for process in Path("/proc").glob("[0-9]*") if owned_by(process, uid)]
    for process in left:
        os.kill(int(process.name), signal.SIGSTOP)
    for process in left:
        os.kill(int(process.name), signal.SIGKILL)
    assert not left


def test_a_trial_is_ended_with_its_children(open_folder: Path) -> None:
    mark = f"12{os.getpid()}"
    hangs = wrapper(open_folder, f"setsid sleep {mark} & sleep {mark}; true")
    process = launch_as_guests([str(hangs)])
    Deadline(20, "its children").wait_until(lambda: len(running(mark)) == 2)
    enclosure.end(process)
    assert not running(mark)


def test_what_is_enclosed_ends_with_whoever_started_it(open_folder: Path) -> None:
    mark = f"13{os.getpid()}"
    code = f"""if True:
        import subprocess, sys
        from qemunet_tests.isolation import enclosure
        subprocess.Popen(enclosure.words(["sh", "-c", "setsid sleep {mark} & sleep {mark}"]))
        sys.stdin.read()"""
    owner = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE)
    Deadline(20, "its children").wait_until(lambda: len(running(mark)) == 2)
    owner.kill()
    owner.communicate()
    Deadline(10, "them to be ended").wait_until(lambda: not running(mark))


def running(mark: str) -> list[str]:
    """The processes that sleep for so long, a number that nobody else has."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        found += [process.name] if words[:2] == [b"sleep", mark.encode()] else []
    return found


@pytest.mark.parametrize(("ending", "status"), [("exit 3", 3), ("kill -9 $$", -9), ("kill -11 $$", -11)])
def test_what_is_enclosed_ends_as_it_would(ending: str, status: int) -> None:
    assert subprocess.run(enclosure.words(["sh", "-c", ending]), check=False).returncode == status


def test_who_writes_without_end_is_stopped() -> None:
    answer = enclosure.ask({"it": ["cat", "/dev/zero"], "other": ["echo", "hello"]}, 20)
    assert answer["it"].trouble == "was killed by SIGXFSZ"
    assert answer["other"].text == "hello\n"


def test_a_qemu_that_is_killed_once_is_asked_again(open_folder: Path, log: Path, real: str) -> None:
    once = f'[ "$1" != -help ] || [ -s {log} ] || {{ echo seen >{log}; kill -9 $$; }}'
    asked = wrapper(open_folder, f'{once}\nexec {real} "$@"')
    assert qemu_facts.find(str(asked)).version == qemu_facts.find(real).version
    assert log.read_text() == "seen\n"


@pytest.mark.parametrize("question", ["--version", "-netdev", "-machine", "-L"])
def test_a_qemu_that_is_killed_is_the_benchs_trouble(
    open_folder: Path, real: str, question: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = wrapper(open_folder, f'[ "$1" != {question} ] || kill -9 $$\nexec {real} "$@"')
    with pytest.raises(HarnessError, match="was killed by SIGKILL, asked twice"):
        qemu_facts.find(str(asked))
    monkeypatch.setenv("PATH", f"{open_folder}:{os.environ['PATH']}")
    with pytest.raises(HarnessError, match="was killed by SIGKILL, asked twice"):
        qemu_facts.find()


def test_the_controllers_answer_serves_the_workers(open_folder: Path, real: str) -> None:
    asked = wrapper(open_folder, f'exec {real} "$@"')
    answered = qemu_facts.find(str(asked))
    told = qemu_facts.known()
    before = asked.stat()
    asked.write_text(asked.read_text().replace("exec", "kill"))
    os.utime(asked, ns=(before.st_atime_ns, before.st_mtime_ns))
    qemu_facts._known.clear()
    qemu_facts.learn(told)
    assert qemu_facts.find(str(asked)) == answered


def test_what_is_closed_to_guests_is_said_so(open_folder: Path, real: str) -> None:
    if os.geteuid() != 0:
        pytest.skip("guests run as ourselves")
    closed = open_folder / "closed"
    closed.mkdir(mode=0o700)
    asked = wrapper(closed, f'exec {real} "$@"')
    with pytest.raises(UsageError, match=f"cannot be executed by {unprivileged().name}, the user that guests run as"):
        qemu_facts.find(str(asked))


@pytest.mark.parametrize("mode", [0o4755, 0o2755])
def test_a_qemu_that_would_be_somebody_else_is_none(open_folder: Path, real: str, mode: int) -> None:
    copy = Path(shutil.copy(real, open_folder))
    copy.chmod(mode)
    with pytest.raises(UsageError, match="it is setuid or setgid"):
        qemu_facts.find(str(copy))


def test_a_qemu_of_any_size_is_asked(open_folder: Path, real: str) -> None:
    """A program that starts QEMU, and is a terabyte, of which nothing was written."""
    starter = Path(shutil.copy("/usr/bin/env", open_folder))
    os.truncate(starter, 1 << 40)
    asked = wrapper(open_folder, f'exec {starter} {real} "$@"')
    assert relocation.is_qemu(starter) is False
    assert qemu_facts.find(str(asked)).helper_path == qemu_facts.find(real).helper_path


def test_what_is_typed_with_a_slash_is_a_path(open_folder: Path, real: str, monkeypatch: pytest.MonkeyPatch) -> None:
    here = wrapper(open_folder, f'exec {real} "$@"')
    (open_folder / "deep").mkdir()
    monkeypatch.chdir(open_folder)
    for typed in ("./qemu-system-x86_64", "deep/../qemu-system-x86_64"):
        assert qemu_facts.find(typed).path.resolve() == here
        assert (from_options({"qemu": typed}, lambda name: name).qemu or Path()).resolve() == here
    for bare in (
        qemu_facts.find("qemu-system-x86_64").path,
        from_options({"qemu": "qemu-kvm"}, str).qemu if shutil.which("qemu-kvm") else None,
    ):
        assert bare is None or bare.parent != open_folder
    # One that only the current folder has is not found by its name.
    here.rename(open_folder / "qemu-of-mine")
    for command in ("run user/gateway", "record"):
        done = qemunet(*command.split(), "--qemu", "qemu-of-mine", cwd=open_folder)
        assert (done.returncode, done.stdout) == (2, ""), done.stderr
        assert "there is no 'qemu-of-mine'" in done.stderr


def test_a_qemu_that_was_moved_starts_the_helper_beside_it(open_folder: Path, log: Path, real: str) -> None:
    """What we take for its helper is the file that it really starts."""
    moved = open_folder / "prefix" / "bin" / "qemu-system-x86_64"
    moved.parent.mkdir(parents=True)
    shutil.copy(Path(real).resolve(), moved)
    folders = subprocess.run([moved, "-L", "help"], check=True, capture_output=True, text=True, timeout=60).stdout
    wrapped = wrapper(open_folder, f'{moved} "$@"', "wrapped")
    if str(moved.parent) in folders:
        started(moved, moved, log)
        started(wrapped, moved, log)
    else:
        # Configured with --disable-relocatable, as Debian's QEMU 11.1 is: it takes nothing along.
        assert qemu_facts.find(str(moved)).helper_path == qemu_facts.find(real).helper_path
        assert qemu_facts.find(str(wrapped)).helper_path == qemu_facts.find(real).helper_path
        beside = moved.parent.parent / Path(str(qemu_facts.find(real).helper_path)).relative_to("/usr")
        assert start_with_helper(moved, beside, log) == ""


def test_a_qemu_that_was_moved_stays_until_it_was_looked_into(
    open_folder: Path, log: Path, real: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its accelerators, where those are modules, were not moved with it: let go, it ends within 0.1 s."""
    moved = open_folder / "prefix" / "bin" / "qemu-system-x86_64"
    moved.parent.mkdir(parents=True)
    shutil.copy(Path(real).resolve(), moved)
    wrapped = wrapper(open_folder, f'{moved} "$@"\necho ended >>{log}', "wrapped")
    monkeypatch.setattr(qemu_questions, "_START_SECONDS", 1.0)
    monkeypatch.setattr(qemu_questions.IdleQemu, "_look", lambda *_: False)
    qemu_questions.IdleQemu(wrapped, unprivileged())
    assert log.read_text() == ""


def test_a_build_tree_starts_the_helper_of_its_bundle(open_folder: Path, log: Path, real: str) -> None:
    built = open_folder / "build" / "qemu-system-x86_64"
    (built.parent / "qemu-bundle").mkdir(parents=True)
    shutil.copy(Path(real).resolve(), built)
    assert "/build/qemu-bundle/" in started(built, built, log)


def started(qemu: Path, real: Path, log: Path) -> str:
    helper = qemu_facts.find(str(qemu)).helper_path
    assert helper is not None
    assert helper.startswith(str(real.parent.parent))
    place = Path(helper)
    assert Path(start_with_helper(qemu, place, log)).resolve() == place.resolve(), "QEMU starts another helper"
    return helper


def start_with_helper(qemu: Path, place: Path, log: Path) -> str:
    """Put a helper in its place, and return its name if QEMU starts it."""
    place.parent.mkdir(parents=True, exist_ok=True)
    log.write_text("")
    wrapper(place.parent, f"echo $0 >>{log}; exit 1", place.name)
    words = ["-M", "none", "-nodefaults", "-display", "none", "-netdev", "bridge,id=n,br=none"]
    subprocess.run([*unprivileged().prefix(), qemu, *words], check=False, capture_output=True, timeout=60)
    return log.read_text().strip()
