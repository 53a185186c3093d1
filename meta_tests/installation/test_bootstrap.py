"""bootstrap, in a world of stand-ins: packages, the venv, and what users and people with other tools are told."""

import contextlib
import fcntl
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from meta_tests.patience import limit, soon
from meta_tests.qemunet_command import clean_environment
from meta_tests.samples.bootstrap_world import CHECKOUT, PACKAGES, STRANGER, World, said_of_installing
from qemunet_tests.deadline import Deadline

takes_root = pytest.mark.skipif(os.getuid() != 0, reason="becoming another user takes root")


def test_a_fresh_machine_gets_everything_and_the_command_runs(fresh: World) -> None:
    ran = fresh.run("sh", "-c", "echo $0 $1; exit 7", "one", "two words")
    assert (ran.returncode, ran.stdout) == (7, "one two words\n")
    assert fresh.done() == [
        "updated lists", "installed python3-venv", "made venv", "ran pip",
        "updated lists", "installed qemu-system-x86", "installed mtools",
    ]  # fmt: skip


def test_the_second_time_nothing_is_done(ready: World) -> None:
    ran = ready.run("sh", "-c", "command -v bindep")
    assert ran.stdout == f"{ready.checkout}/.venv/bin/bindep\n"
    assert ready.done() == []


def test_the_second_time_is_quick(ready: World) -> None:
    seconds = []
    for _ in range(5):
        started = time.monotonic()
        ready.run("true")
        seconds.append(time.monotonic() - started)
    assert min(seconds) < soon(0.2)


@pytest.mark.parametrize("file", ["pyproject.toml", "bindep.txt"])
def test_a_changed_list_is_installed_into_the_same_venv(ready: World, file: str) -> None:
    ready.write(f"checkout/{file}", "# changed\n")
    ready.run("true")
    assert ready.done() == ["ran pip"]


def test_another_python_gets_a_new_venv(ready: World) -> None:
    ready.write("python-version", "Python 3.13.5\n")
    ready.run("true")
    assert ready.done() == ["made venv", "ran pip"]


def test_a_copied_checkout_gets_a_new_venv(ready: World) -> None:
    shutil.copytree(ready.checkout, ready.folder / "copy")
    ready.run("true", script=ready.folder / "copy" / "bootstrap")
    assert ready.done() == ["made venv", "ran pip"]


def test_a_package_that_was_removed_comes_back(ready: World) -> None:
    ready.remove("installed/mtools")
    ready.run("true")
    assert ready.done() == ["updated lists", "installed mtools"]


def test_what_broke_half_way_is_made_anew(ready: World) -> None:
    ready.write("pip-breaks")
    ready.write("checkout/pyproject.toml", "# changed\n")
    broken = ready.run("true")
    assert (broken.returncode, broken.stderr.splitlines()[0]) == (2, "pip says why")
    ready.remove("pip-breaks")
    ready.done()
    assert ready.run("true").returncode == 0
    assert ready.done() == ["made venv", "ran pip"]


#: Python dies of each before a program begins, except of the last two, which lead it astray.
NONSENSE = (
    "PYTHONIOENCODING", "PYTHONHOME", "PYTHONUTF8", "PYTHONHASHSEED", "PYTHONMALLOC", "PYTHONINTMAXSTRDIGITS",
    "PYTHONTRACEMALLOC", "PYTHONPLATLIBDIR", "PYTHONINSPECT", "PYTHONEXECUTABLE",
)  # fmt: skip
#: As pip writes it, and as it does where the path is long or has a space.
WRITTEN = ["#!{python}", "#!/bin/sh\n'''exec' \"{python}\" \"$0\" \"$@\"\n' '''"]


@pytest.mark.parametrize("name", NONSENSE)
def test_a_variable_of_pythons_that_is_nonsense_has_nothing_made_anew(ready: World, name: str) -> None:
    assert ready.run("true", more={name: "nonsense"}).returncode == 0
    assert ready.done() == []


@pytest.mark.parametrize("name", NONSENSE)
def test_nor_does_it_keep_anything_from_being_installed(fresh: World, name: str) -> None:
    ran = fresh.run("true", more={name: "nonsense"})
    assert ran.returncode == 0, ran.stderr
    assert fresh.done()[-1] == f"installed {PACKAGES[-1]}"


@pytest.mark.parametrize("name", NONSENSE[:-1])
@pytest.mark.parametrize("written", WRITTEN, ids=["plain", "by-sh"])
def test_the_program_by_itself_does_not_hear_of_it_either(fresh: World, written: str, name: str) -> None:
    fresh.write("program", f"{written.format(python='/usr/bin/python3')}\nimport sys\nprint(sys.argv[1:])\n")
    (fresh.folder / "program").chmod(0o755)
    assert fresh.run("true").returncode == 0
    ran = subprocess.run(
        [fresh.checkout / ".venv/bin/qemunet", "one word"], env=fresh.environment({name: "nonsense"}),
        capture_output=True, text=True, timeout=limit(60), check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "['one word']\n", "")


@pytest.mark.parametrize("name", NONSENSE)
def test_it_changes_nothing_of_what_qemunet_says(name: str) -> None:
    ran = subprocess.run(
        [CHECKOUT / "bootstrap", "qemunet", "claims", "user/gateway"], env={**clean_environment(), name: "nonsense"},
        capture_output=True, text=True, timeout=limit(60), check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert (ran.returncode, ran.stdout.splitlines()[:1], ran.stderr) == (0, ["user/gateway"], "")


def test_two_at_once_install_once(fresh: World) -> None:
    fresh.write("pip-is-slow")
    both = [subprocess.Popen([fresh.bootstrap, "true"], env=fresh.environment()) for _ in range(2)]
    assert [each.wait(timeout=limit(60)) for each in both] == [0, 0]
    assert fresh.done().count("ran pip") == 1


def test_whoever_holds_the_lock_for_ever_is_not_waited_for_for_ever(fresh: World) -> None:
    text = fresh.bootstrap.read_text()
    assert text.count("lock_seconds=900\n") == 1
    fresh.bootstrap.write_text(text.replace("lock_seconds=900\n", "lock_seconds=0.2\n"))
    with fresh.bootstrap.open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        ran = fresh.run("true")
    assert (ran.returncode, ran.stdout) == (2, "")
    assert ran.stderr.startswith("bootstrap: gave up after 0.2 s waiting for another bootstrap, or for whoever holds")
    assert fresh.run("true").returncode == 0


def of_bootstrap(world: World) -> list[int]:
    """The processes of its script, without what they have started."""
    begins = f"/bin/sh\0{world.bootstrap}\0".encode()
    found = []
    for each in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if each.read_bytes().startswith(begins):
                found.append(int(each.parent.name))
    return found


def test_what_goes_on_when_bootstrap_was_killed_is_waited_for(fresh: World) -> None:
    """Two of pip's in one .venv leave neither whole."""
    fresh.program("pip", "echo pip began >>$WORLD/log\nsleep 1\necho pip ended >>$WORLD/log")
    log = fresh.folder / "log"
    with subprocess.Popen([fresh.bootstrap, "true"], env=fresh.environment(), stderr=subprocess.DEVNULL):
        Deadline(limit(20), "pip").wait_until(lambda: log.exists() and "pip began" in log.read_text())
        for pid in of_bootstrap(fresh):
            os.kill(pid, signal.SIGKILL)
    assert fresh.run("true").returncode == 0
    done = [line for line in fresh.done() if "pip" in line or line == "made venv"]
    assert done == ["made venv", "pip began", "pip ended"] * 2


def test_whoever_ends_what_waits_for_the_lock_is_not_told_that_it_took_too_long(fresh: World) -> None:
    fresh.program("flock", 'case "$1" in -n) exit 1 ;; esac\nkill -9 $$')
    ran = fresh.run("true")
    assert (ran.returncode, ran.stderr.splitlines()[-1]) == (
        3, "bootstrap: what waited for another bootstrap was ended"
    )  # fmt: skip


def test_an_ordinary_user_learns_in_one_line_what_to_ask_for(fresh: World) -> None:
    fresh.write("user-id", "1000\n")
    ran = fresh.run("true")
    assert ran.returncode == 2
    assert ran.stderr == (
        f"bootstrap: needs system packages; get them with: sudo apt-get install {' '.join(PACKAGES)}\n"
    )
    assert fresh.done() == []


def test_an_ordinary_user_with_the_packages_makes_a_venv(fresh: World) -> None:
    fresh.write("user-id", "1000\n")
    for name in PACKAGES:
        fresh.write(f"installed/{name}")
    assert fresh.run("true").returncode == 0
    assert fresh.done() == ["made venv", "ran pip"]


def test_sudo_without_a_password_is_used(fresh: World) -> None:
    fresh.write("user-id", "1000\n")
    fresh.write("sudo-works")
    assert fresh.run("true").returncode == 0
    assert "installed mtools" in fresh.done()


@takes_root
def test_any_user_runs_what_root_installed(ready: World) -> None:
    ran = ready.run_as_nobody("echo", "ran")
    assert (ran.stdout, ran.stderr) == ("ran\n", "")


@takes_root
@pytest.mark.parametrize("most", [3, 4, 5, 6, 7])
def test_where_few_processes_are_allowed_nothing_is_taken_for_missing(ready: World, most: int) -> None:
    become = ["setpriv", f"--reuid={STRANGER}", f"--regid={STRANGER}", "--clear-groups", "--"]
    ran = subprocess.run(
        [*become, "prlimit", f"--nproc={most}", ready.bootstrap, "true"], env=ready.environment(), capture_output=True,
        text=True, timeout=limit(60), check=False,
    )  # fmt: skip
    # But for the shell's own words.
    said = [line for line in ran.stderr.splitlines() if not line.startswith(f"{ready.bootstrap}: ")]
    # It may be enough, as some have ended when others begin; and where the shell itself can start none it ends with 2.
    few = ["bootstrap: cannot start enough programs: see how many processes are allowed (ulimit -u)"]
    assert (ran.returncode, said) in ((3, few), (2, []), (0, [])), ran.stderr
    assert ready.done() == []


@takes_root
def test_who_may_not_write_the_checkout_learns_who_may(ready: World) -> None:
    ready.write("checkout/pyproject.toml", "# changed\n")
    ran = ready.run_as_nobody("true")
    assert ran.returncode == 2
    assert ran.stderr == (
        f"bootstrap: {ready.checkout}/.venv is missing or out of date; "
        f"its owner, root, gets it with: {ready.bootstrap} true\n"
    )


@pytest.mark.parametrize(
    ("manager", "advice"),
    [
        ("dnf", "needs system packages; get them with: sudo dnf install mtools"),
        ("zypper", "needs these system packages, which it can install with apt-get only: mtools"),
    ],
)
def test_without_apt_get_it_says_what_is_missing(ready: World, manager: str, advice: str) -> None:
    ready.remove("installed/mtools")
    ready.remove("bin/apt-get")
    ready.program(manager, "")
    for tool in ("cat", "cksum", "dirname", "env", "flock", "readlink", "sed", "sh", "sort", "true"):
        (ready.programs / tool).symlink_to(f"/usr/bin/{tool}")
    ran = ready.run("true", more={"PATH": str(ready.programs)})
    assert (ran.returncode, ran.stderr) == (2, f"bootstrap: {advice}\n")


def test_an_unknown_distribution_is_one_line(ready: World) -> None:
    ready.remove("installed/mtools")
    ready.write("bindep-breaks")
    ran = ready.run("true")
    assert ran.returncode == 2
    assert ran.stderr.startswith("bootstrap: cannot tell which system packages are missing: ")
    assert ran.stderr.count("\n") == 1


def test_apt_get_that_fails_is_quoted(fresh: World) -> None:
    fresh.write("apt-breaks")
    ran = fresh.run("true")
    assert ran.returncode == 2
    assert ran.stderr.splitlines()[-2:] == ["apt says why", "bootstrap: failed at installing python3-venv"]


def test_an_old_python_is_refused_before_anything_is_installed(fresh: World) -> None:
    fresh.write("python-version", "Python 3.9.2\n")
    ran = fresh.run("true")
    assert (ran.returncode, fresh.done()) == (2, [])
    assert ran.stderr == (f"bootstrap: needs Python 3.11 or later; {fresh.programs}/python3 is Python 3.9.2\n")


def test_without_a_terminal_it_says_what_it_installed_and_in_ci_each_step(fresh: World) -> None:
    assert fresh.run("true").stderr.splitlines() == [said_of_installing(fresh, 3)]
    shutil.rmtree(fresh.checkout / ".venv")
    for name in PACKAGES:
        fresh.remove(f"installed/{name}")
    ran = fresh.run("true", more={"CI": "true"})
    assert ran.stderr.splitlines() == [
        "bootstrap: updating the lists of packages",
        "bootstrap: installing python3-venv",
        f"bootstrap: making {fresh.checkout}/.venv",
        f"bootstrap: installing qemunet and its libraries in {fresh.checkout}/.venv",
        f"bootstrap: so that `qemunet` can be typed alone: ln -s {fresh.checkout}/.venv/bin/qemunet /usr/local/bin/",
        "bootstrap: updating the lists of packages",
        "bootstrap: installing qemu-system-x86 mtools",
        said_of_installing(fresh, 3),
    ]


def test_a_symlink_from_elsewhere_works(ready: World) -> None:
    link = ready.folder / "link"
    link.symlink_to(ready.bootstrap)
    ran = ready.run("pwd", script=link)
    assert (ran.stdout, ready.done()) == (f"{ready.folder}\n", [])


def test_alone_it_prints_usage(fresh: World) -> None:
    alone, asked = fresh.run(), fresh.run("--help")
    assert "./bootstrap qemunet run" in asked.stdout
    assert (alone.returncode, asked.returncode, fresh.done()) == (2, 0, [])


def test_a_command_that_does_not_exist_is_one_line(ready: World) -> None:
    ran = ready.run("qemunett")
    assert (ran.returncode, ran.stderr) == (2, "bootstrap: there is no command qemunett\n")
