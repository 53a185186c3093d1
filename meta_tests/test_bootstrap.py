"""bootstrap, in a world of stand-ins: no package is installed and no registry asked."""

import os
import shutil
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parent.parent
takes_root = pytest.mark.skipif(os.getuid() != 0, reason="becoming another user takes root")
PACKAGES = ("python3-venv", "qemu-system-x86", "mtools")

# What each stand-in does is what the real one would do to the files in $WORLD.
STAND_INS = {
    "python3": """
case "$*" in
    -V) cat $WORLD/python-version ;;
    *version_info*) grep -q "Python 3.9" $WORLD/python-version ;;
    *ensurepip*) [ -e $WORLD/installed/python3-venv ] ;;
    *"-m venv"*) echo made venv >>$WORLD/log; mkdir -p $4/bin; cp $WORLD/bin/pip $WORLD/bin/bindep $4/bin/ ;;
esac""",
    "pip": """
echo ran pip >>$WORLD/log
[ ! -e $WORLD/pip-is-slow ] || sleep 0.5
[ ! -e $WORLD/pip-breaks ] || { echo pip says why >&2; exit 1; }""",
    "bindep": """
case "$*" in
    *--list_all*) cat $WORLD/packages ;;
    *--brief*)
        [ ! -e $WORLD/bindep-breaks ] || { echo Traceback >&2; exit 1; }
        missing=
        for name in $(cat $WORLD/packages); do
            [ -e $WORLD/installed/$name ] || { missing=1; echo $name; }
        done
        [ -z "$missing" ] ;;
esac""",
    "dpkg-query": """
shift 3
for name; do [ -e $WORLD/installed/$name ] || exit 1; echo installed; done""",
    "dpkg": "",
    "apt-get": """
[ ! -e $WORLD/apt-breaks ] || { echo apt says why >&2; exit 100; }
case "$*" in
    *update*) echo updated lists >>$WORLD/log; exit ;;
esac
for name; do
    case $name in
        -* | install | [A-Z]*) ;;
        *) echo installed $name >>$WORLD/log; touch $WORLD/installed/$name ;;
    esac
done""",
    "id": "cat $WORLD/user-id",
    "sudo": '[ -e $WORLD/sudo-works ] || exit 1; shift; exec "$@"',
}


class World:
    """A machine as bootstrap sees it, kept in one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.checkout = folder / "checkout"
        self.programs = folder / "bin"
        for each in (self.checkout, self.programs, folder / "installed"):
            each.mkdir(parents=True)
        for name, does in STAND_INS.items():
            self.program(name, does)
        script = (CHECKOUT / "bootstrap").read_text()
        assert script.count("python=/usr/bin/python3\n") == 1
        self.bootstrap = self.checkout / "bootstrap"
        self.bootstrap.write_text(script.replace("/usr/bin/python3\n", f"{self.programs}/python3\n"))
        self.bootstrap.chmod(0o755)
        self.write("checkout/pyproject.toml", "[project]\n")
        self.write("checkout/bindep.txt", "".join(f"{name} [platform:dpkg]\n" for name in PACKAGES))
        self.write("packages", "\n".join(PACKAGES) + "\n")
        self.write("python-version", "Python 3.11.2\n")
        self.write("user-id", "0\n")

    def program(self, name: str, does: str) -> None:
        path = self.programs / name
        path.write_text(f"#!/bin/sh\n{does}\n")
        path.chmod(0o755)

    def write(self, name: str, text: str = "") -> None:
        (self.folder / name).write_text(text)

    def remove(self, name: str) -> None:
        (self.folder / name).unlink()

    def environment(self, more: Mapping[str, str] | None = None) -> dict[str, str]:
        return {"PATH": f"{self.programs}:/usr/bin:/bin", "WORLD": str(self.folder), **(more or {})}

    def run(
        self, *words: str, script: Path | None = None, more: Mapping[str, str] | None = None
    ) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [script or self.bootstrap, *words],
            cwd=self.folder,
            env=self.environment(more),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def run_as_nobody(self, *words: str) -> "subprocess.CompletedProcess[str]":
        self.write("user-id", "65534\n")
        become = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
        return subprocess.run(
            [*become, self.bootstrap, *words],
            env=self.environment(),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def done(self) -> list[str]:
        """What was done since this was asked last."""
        log = self.folder / "log"
        lines = log.read_text().splitlines() if log.exists() else []
        log.unlink(missing_ok=True)
        return lines


@pytest.fixture
def fresh(open_folder: Path) -> World:
    """A machine where nothing of ours was ever installed."""
    return World(open_folder)


@pytest.fixture
def ready(fresh: World) -> World:
    """A machine where bootstrap ran before."""
    assert fresh.run("true").returncode == 0
    fresh.done()
    return fresh


def test_a_fresh_machine_gets_everything_and_the_command_runs(fresh: World) -> None:
    ran = fresh.run("sh", "-c", "echo $0 $1; exit 7", "one", "two words")
    assert (ran.returncode, ran.stdout, ran.stderr) == (7, "one two words\n", "")
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
    assert min(seconds) < 0.2


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


def test_two_at_once_install_once(fresh: World) -> None:
    fresh.write("pip-is-slow")
    both = [subprocess.Popen([fresh.bootstrap, "true"], env=fresh.environment()) for _ in range(2)]
    assert [each.wait(timeout=60) for each in both] == [0, 0]
    assert fresh.done().count("ran pip") == 1


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
    for tool in ("cat", "cksum", "dirname", "flock", "readlink", "sh", "sort", "true"):
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


def test_without_a_terminal_it_is_silent_and_in_ci_it_says_each_step(fresh: World) -> None:
    ran = fresh.run("true", more={"CI": "true"})
    assert ran.stderr.splitlines() == [
        "bootstrap: installing python3-venv",
        f"bootstrap: making {fresh.checkout}/.venv",
        f"bootstrap: installing qemunet and its libraries in {fresh.checkout}/.venv",
        "bootstrap: installing qemu-system-x86 mtools",
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
