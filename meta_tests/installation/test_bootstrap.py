"""bootstrap, in a world of stand-ins: no package is installed and no registry asked."""

import fcntl
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from meta_tests.patience import limit, soon

CHECKOUT = Path(__file__).parents[2]
takes_root = pytest.mark.skipif(os.getuid() != 0, reason="becoming another user takes root")
PACKAGES = ("python3-venv", "qemu-system-x86", "mtools")
OF_TESTS = "mmdebstrap"

# What each stand-in does is what the real one would do to the files in $WORLD.
STAND_INS = {
    "python3": """
case "$*" in
    -V) cat $WORLD/python-version ;;
    *version_info*) grep -q "Python 3.9" $WORLD/python-version ;;
    *ensurepip*) [ -e $WORLD/installed/python3-venv ] ;;
    *"-m venv"*) echo made venv >>$WORLD/log; mkdir -p $5/bin; cp $WORLD/bin/pip $WORLD/bin/bindep $5/bin/ ;;
esac""",
    "pip": """
echo ran pip >>$WORLD/log
[ ! -e $WORLD/pip-is-slow ] || sleep 0.5
[ ! -e $WORLD/pip-breaks ] || { echo pip says why >&2; exit 1; }""",
    "bindep": """
case "$*" in *" test") of_tests=$WORLD/packages-of-tests ;; *) of_tests= ;; esac
case "$*" in
    *--list_all*) cat $WORLD/packages $of_tests ;;
    *--brief*)
        [ ! -e $WORLD/bindep-breaks ] || { echo Traceback >&2; exit 1; }
        missing=
        for name in $(cat $WORLD/packages $of_tests); do
            [ -e $WORLD/installed/$name ] || { missing=1; echo $name; }
        done
        [ -z "$missing" ] ;;
esac""",
    "dpkg-query": """
case "$*" in
    -L*)
        case " $* " in *" samba "*) echo /usr/sbin/smbd /lib/systemd/system/smbd.service /etc/init.d/smbd ;; esac |
            tr " " "\\n"
        case " $* " in *" systemd "*) echo /lib/systemd/system/getty.target ;; esac
        exit ;;
esac
named=$(echo "$3" | grep Package)
shift 3
for name; do
    if [ -e $WORLD/installed/$name ]; then echo installed ${named:+$name}; else bad=1; fi
done
[ -z "$bad" ]""",
    "dpkg": "",
    "apt-get": """
[ ! -e $WORLD/apt-breaks ] || { echo apt says why >&2; exit 100; }
case "$*" in
    *update*) echo updated lists >>$WORLD/log; exit ;;
esac
for name; do
    case $name in
        -* | install | [A-Z]*) continue ;;
        samba) names="samba samba-libs" ;;
        *) names=$name ;;
    esac
    case "$*" in *" -s "*) printf 'Inst %s (1.0 [amd64])\\n' $names; continue ;; esac
    echo installed $name >>$WORLD/log
    [ ! -e $WORLD/apt-is-slow ] || { touch $WORLD/apt-waits; sleep 1; }
    for each in $names; do touch $WORLD/installed/$each; done
    [ $name != samba ] || maintainer-script
done""",
    # As deb-systemd-invoke(1p) does.
    "maintainer-script": """
policy=$WORLD/sbin/policy-rc.d
if [ -x $policy ]; then $policy smbd.service start; [ $? != 101 ] || exit 0; fi
systemctl start smbd.service""",
    # As systemctl does where $SYSTEMD_OFFLINE is set.
    "systemctl": """
[ "$1 $SYSTEMD_OFFLINE" = "start 1" ] || echo systemctl $* >>$WORLD/log""",
    "update-rc.d": "echo update-rc.d $* >>$WORLD/log",
    "id": "cat $WORLD/user-id",
    "sudo": '[ -e $WORLD/sudo-works ] || exit 1; shift; exec "$@"',
}


class World:
    """A machine as bootstrap sees it, kept in one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.checkout = folder / "checkout"
        self.programs = folder / "bin"
        self.policy = folder / "sbin" / "policy-rc.d"
        for each in (self.checkout, self.programs, self.policy.parent, folder / "installed"):
            each.mkdir(parents=True)
        for name, does in STAND_INS.items():
            self.program(name, does)
        script = (CHECKOUT / "bootstrap").read_text()
        assert script.count("python=/usr/bin/python3\n") == 1
        self.bootstrap = self.checkout / "bootstrap"
        script = script.replace("/usr/bin/python3\n", f"{self.programs}/python3\n")
        assert script.count("/usr/sbin") == 1
        self.bootstrap.write_text(script.replace("/usr/sbin/policy-rc.d\n", f"{self.policy}\n"))
        self.bootstrap.chmod(0o755)
        self.write("checkout/pyproject.toml", "[project]\n")
        self.write("checkout/bindep.txt", "".join(f"{name} [platform:dpkg]\n" for name in PACKAGES))
        self.write("packages", "\n".join(PACKAGES) + "\n")
        self.write("packages-of-tests", f"{OF_TESTS}\n")
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
            timeout=limit(60),
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
            timeout=limit(60),
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


#: What bootstrap starts before it executes the command.
STARTED = ("readlink", "cat", "cksum", "dpkg-query", "sort", "id", "ls", "stat", "env", "sh", "python3", "bindep")


@pytest.mark.parametrize(
    "careless", [".:{path}", ":{path}", "{path}:", "bin:{path}", "{path}::", "{everybodys}:{path}"]
)
def test_nothing_of_the_callers_folder_is_executed_for_a_careless_path(ready: World, careless: str) -> None:
    """Other users put programs there; a folder that everybody may write to is as bad, for root."""
    hostile = ready.folder / "hostile"
    everybodys = ready.folder / "everybodys"
    for folder in (hostile, hostile / "bin", everybodys):
        folder.mkdir()
        for name in STARTED:
            (folder / name).write_text(f"#!/bin/sh\necho {name} >>{ready.folder}/executed\n")
            (folder / name).chmod(0o755)
    everybodys.chmod(0o1777)
    if "everybodys" in careless and os.geteuid() != 0:
        pytest.skip("the folders on an ordinary user's PATH are his own affair")
    path = careless.format(path=ready.environment()["PATH"], everybodys=everybodys)
    ran = subprocess.run(
        [ready.bootstrap, "sh", "-c", "id -u"], cwd=hostile, env=ready.environment({"PATH": path}),
        capture_output=True, text=True, timeout=limit(60), check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    assert not (ready.folder / "executed").exists()


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


def said_of_installing(world: World, count: int) -> str:
    return (
        f"bootstrap: installed {count} system packages and started no service of theirs; to remove what it installed: "
        f"apt-get purge $(cat {world.checkout}/.installed-packages)"
    )


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


# ---- packages of the project's own tests ---------------------------------------------------------------------


@pytest.mark.parametrize(
    "words",
    [
        pytest.param(("tox",), id="tox"),
        pytest.param(("pytest", "meta_tests/test_x.py"), id="pytest"),
        pytest.param(("python", "-m", "meta_tests.userland", "sid"), id="module"),
        pytest.param(("--test", "true"), id="asked-for"),
    ],
)
def test_the_projects_own_tests_get_what_only_they_need(ready: World, words: tuple[str, ...]) -> None:
    for name in ("tox", "pytest", "python"):
        ready.program(name, "")
    ran = ready.run(*words)
    assert (ran.returncode, ready.done()) == (0, ["updated lists", f"installed {OF_TESTS}"])
    assert (ready.run(*words).stderr, ready.run("true").stderr, ready.done()) == ("", "", [])


def test_a_fresh_machine_gets_it_for_tox_and_a_users_command_does_not(fresh: World) -> None:
    fresh.program("tox", "")
    fresh.run("true")
    assert f"installed {OF_TESTS}" not in fresh.done()
    shutil.rmtree(fresh.folder)
    again = World(fresh.folder)
    again.program("tox", "")
    assert again.run("tox").returncode == 0
    assert again.done()[-1] == f"installed {OF_TESTS}"


def test_an_ordinary_user_learns_in_one_line_what_tests_need_as_well(fresh: World) -> None:
    fresh.write("checkout/bindep.txt", f"{PACKAGES[0]} [platform:dpkg]\n{OF_TESTS} [test platform:dpkg]\n")
    fresh.write("user-id", "1000\n")
    assert fresh.run("tox").stderr.endswith(f"sudo apt-get install {PACKAGES[0]} {OF_TESTS}\n")
    assert fresh.run("true").stderr.endswith(f"sudo apt-get install {PACKAGES[0]}\n")


# ---- services ------------------------------------------------------------------------------------------------


@pytest.fixture
def without_samba(ready: World) -> World:
    """A machine where bootstrap ran before, and where a package that brings a service is missing now."""
    ready.write("packages", "\n".join((*PACKAGES, "samba")) + "\n")
    ready.write("checkout/bindep.txt", "# changed\n")
    return ready


SAMBA_ALONE = [
    "ran pip",
    "updated lists",
    "installed samba",
    "systemctl disable smbd.service",
    "update-rc.d smbd disable",
]


def test_no_service_starts_now_or_at_the_next_boot(without_samba: World) -> None:
    ran = without_samba.run("true")
    assert (ran.returncode, without_samba.done()) == (0, SAMBA_ALONE)
    assert not without_samba.policy.exists()


def test_what_was_installed_is_written_down_with_what_it_needs(without_samba: World) -> None:
    ran = without_samba.run("true")
    assert ran.stderr.splitlines() == [said_of_installing(without_samba, 2)]
    written = (without_samba.checkout / ".installed-packages").read_text().split()
    assert written == sorted((*PACKAGES, "samba", "samba-libs"))


@pytest.mark.parametrize("status", [0, 101])
def test_a_policy_that_is_there_stays_and_is_asked(without_samba: World, status: int) -> None:
    text = f"#!/bin/sh\necho asked about $1 >>{without_samba.folder}/log\nexit {status}\n"
    without_samba.policy.write_text(text)
    without_samba.policy.chmod(0o755)
    without_samba.run("true")
    assert without_samba.done() == [*SAMBA_ALONE[:3], "asked about smbd.service", *SAMBA_ALONE[3:]]
    assert without_samba.policy.read_text() == text


def interrupt(world: World, number: int) -> None:
    """Sends a signal to all processes of a bootstrap that waits for apt-get, as a terminal does."""
    world.write("apt-is-slow")
    # A shell cannot trap what was ignored when it started, as nohup has it.
    words = ["env", "--default-signal=INT,TERM,HUP", world.bootstrap, "true"]
    running = subprocess.Popen(words, env=world.environment(), start_new_session=True)
    deadline = time.monotonic() + limit(30)
    while not (world.folder / "apt-waits").exists():
        assert time.monotonic() < deadline
    assert world.policy.exists()
    os.killpg(running.pid, number)
    assert running.wait(timeout=limit(30)) != 0
    world.remove("apt-is-slow")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupted_installation_leaves_no_policy(without_samba: World, number: int) -> None:
    interrupt(without_samba, number)
    deadline = time.monotonic() + limit(30)
    while without_samba.policy.exists():
        assert time.monotonic() < deadline


def test_a_policy_that_a_killed_bootstrap_left_forbids_nobody_anything(without_samba: World) -> None:
    interrupt(without_samba, signal.SIGKILL)
    assert without_samba.policy.exists()
    assert subprocess.run([without_samba.policy, "cron", "(start)"], check=False).returncode == 101
    # It goes as soon as the process that was killed is buried.
    deadline = time.monotonic() + 30
    while without_samba.policy.exists():
        assert subprocess.run([without_samba.policy, "cron", "start"], check=False).returncode == 0
        assert time.monotonic() < deadline


def test_the_next_bootstrap_replaces_a_policy_that_a_killed_one_left(without_samba: World) -> None:
    interrupt(without_samba, signal.SIGKILL)
    without_samba.done()
    assert without_samba.run("true").returncode == 0
    assert without_samba.done() == SAMBA_ALONE[1:]
    assert not without_samba.policy.exists()


def test_others_who_install_meanwhile_start_their_services(without_samba: World) -> None:
    without_samba.write("apt-is-slow")
    running = subprocess.Popen([without_samba.bootstrap, "true"], env=without_samba.environment())
    deadline = time.monotonic() + limit(30)
    while not (without_samba.folder / "apt-waits").exists():
        assert time.monotonic() < deadline
    assert subprocess.run([without_samba.policy, "cron", "start"], check=False).returncode == 0
    assert running.wait(timeout=limit(30)) == 0
    assert not [each for each in without_samba.done() if "start smbd" in each]
