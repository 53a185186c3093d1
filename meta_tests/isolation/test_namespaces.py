"""Leaving the machine: as root, as an ordinary user, and where it is not possible, with the reason."""

import os
import subprocess
import sys

import pytest

from meta_tests.patience import limit
from meta_tests.user_accounts import CHECKOUT, NOBODY, Account, accounts

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to prepare it")


def run(words: list[str], account: Account) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        words, cwd=CHECKOUT, env=account.environment, capture_output=True, text=True, timeout=limit(30), check=False
    )


def python(code: str, account: Account) -> str:
    """What a Python program prints, run by somebody."""
    done = run([*account.prefix, sys.executable, "-c", code], account)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def ordinary() -> Account:
    """An ordinary user who can read the checkout."""
    if os.geteuid() != 0:
        return Account("myself", os.geteuid(), os.getegid())
    nobody = Account("nobody", NOBODY, NOBODY)
    if not nobody.can_read(CHECKOUT):
        pytest.skip(f"{CHECKOUT} is closed to ordinary users")
    return nobody


@pytest.mark.parametrize("account", accounts())
def test_entering(account: Account) -> None:
    """The network is new, the id is the same, and programs that are started have what they need for the lab."""
    code = """
import os, subprocess
from qemunet_tests.isolation import namespaces
before = [os.readlink(f"/proc/self/ns/{kind}") for kind in ("net", "mnt", "pid")]
assert not namespaces.entered()
namespaces.enter()
assert namespaces.entered()
after = [os.readlink(f"/proc/self/ns/{kind}") for kind in ("net", "mnt", "pid")]
print(*[old == new for old, new in zip(before, after)], os.getuid())
assert namespaces.machine_network() == before[0]
namespaces.enter()
assert os.readlink("/proc/self/ns/net") == after[0]
print(os.listdir("/dev/shm"))
subprocess.run(["ip", "link", "add", "br7", "type", "bridge"], check=True)
print(*sorted(row.split(":")[0].strip() for row in open("/proc/net/dev") if ":" in row))
"""
    assert python(code, account).splitlines() == [f"False False True {account.uid}", "[]", "br7 lo"]


@pytest.mark.parametrize("account", accounts())
def test_a_worker_has_a_network_of_its_own_and_knows_the_machines(account: Account) -> None:
    code = """
import os
from qemunet_tests.isolation import namespaces
machine = namespaces.network_namespace()
namespaces.enter()
controller = namespaces.network_namespace()
read, write = os.pipe()
if os.fork() == 0:
    namespaces.enter_worker()
    mine = namespaces.network_namespace()
    print(len({machine, controller, mine}), namespaces.entered(), namespaces.machine_network() == machine)
else:
    os.wait()
"""
    assert python(code, account) == "3 True True"


@pytest.mark.parametrize("account", accounts())
def test_the_machines_network_lives_as_long_as_the_run(account: Account) -> None:
    """Also where nobody else is in it, as in a container: its number must not become that of a station.

    Each of two networks has a cable to ours, which goes with it. The one is left by a run, then the other by its last
    process; the kernel clears up behind both in this order, and the second cable tells when the first would be gone.
    """
    code = """
import os, subprocess, sys
from qemunet_tests.deadline import Deadline
from qemunet_tests.isolation import namespaces
namespaces.enter()
del os.environ[namespaces.MACHINE_NETWORK]
RUN = "from qemunet_tests.isolation import namespaces; input(); namespaces.enter(); print(flush=True)"

def alone(cable, code):
    words = ["unshare", "--net", sys.executable, "-c", f"print(flush=True); {code}; input()"]
    process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    process.stdout.readline()
    link = ["ip", "link", "add", cable, "type", "veth", "peer", "name", "far", "netns", str(process.pid)]
    subprocess.run(link, check=True)
    return process

def there(cable):
    return os.path.exists(f"/proc/sys/net/ipv4/conf/{cable}")

run, other = alone("to-run", RUN), alone("to-other", "pass")
print(there("to-run"), there("to-other"))
print(file=run.stdin, flush=True)
assert run.stdout.readline()
other.kill()
other.wait()
print(Deadline(20, "the end of a network").sees(lambda: not there("to-other")), there("to-run"))
run.kill()
run.wait()
print(Deadline(20, "the end of a network").sees(lambda: not there("to-run")))
"""
    assert python(code, account).splitlines() == ["True True", "True True", "True"]


def test_a_worker_does_not_survive_its_controller() -> None:
    account = Account("myself", os.geteuid(), os.getegid())
    code = """
import os, signal
from qemunet_tests.isolation import namespaces
namespaces.enter()
read, write = os.pipe()
if os.fork() == 0:
    os.close(read)
    namespaces.enter_worker()
    os.write(write, b"x")
    signal.pause()
os.close(write)
os.read(read, 1)
os.kill(os.getpid(), signal.SIGKILL)
"""
    words = [sys.executable, "-c", code]
    # Standard output stays open as long as the worker lives.
    done = subprocess.run(
        words, cwd=CHECKOUT, env=account.environment, stdout=subprocess.PIPE, timeout=limit(5), check=False
    )
    assert done.returncode == -9


@needs_root
def test_the_machine_sees_nothing_of_the_runs_mounts() -> None:
    """Also where mounts spread, as they do on machines with systemd."""
    code = (
        "from qemunet_tests.isolation import namespaces; namespaces.enter(); print(open('/proc/self/mountinfo').read())"
    )
    script = f'mount --make-rshared /; {sys.executable} -c "{code}" | grep -c qemunet; cat /proc/self/mountinfo'
    words = ["unshare", "--mount", "sh", "-c", script]
    seen = subprocess.run(words, cwd=CHECKOUT, capture_output=True, text=True, timeout=limit(30), check=True).stdout
    inside, *outside = seen.splitlines()
    assert int(inside) == 1
    assert not [line for line in outside if "qemunet" in line]


# Where it is not possible


ENTER = """
import sys
from qemunet_tests import errors; from qemunet_tests.isolation import namespaces
try:
    namespaces.enter()
except errors.Unavailable as error:
    print("Unavailable:", error.reason, "|", error.remedy)
except errors.HarnessError as error:
    print("HarnessError:", error)
else:
    print("entered")
"""


@pytest.mark.parametrize("setting", ["user.max_user_namespaces", "user.max_net_namespaces"])
def test_forbidden_by_a_setting(setting: str) -> None:
    """In a user namespace, which has limits of its own: set with all capabilities, met with none."""
    forbid = f"echo 0 >/proc/sys/{setting.replace('.', '/')} && exec setpriv --inh-caps=-all --ambient-caps=-all "
    words = ["unshare", "--user", "--map-current-user", "--keep-caps", "sh", "-c", forbid + '"$@"', "sh"]
    nobody = ordinary()
    if run([*nobody.prefix, *words, "true"], nobody).returncode:
        pytest.skip("this machine forbids user namespaces itself")
    said = run([*nobody.prefix, *words, sys.executable, "-c", ENTER], nobody).stdout
    assert said.startswith(f"Unavailable: {setting}=0 allows no such namespace |"), said
    assert f"sysctl -w {setting}=10000" in said


@needs_root
def test_forbidden_to_root_by_a_setting() -> None:
    forbid = 'echo 0 >/proc/sys/user/max_net_namespaces; exec "$@"'
    words = ["unshare", "--user", "--map-root-user", "sh", "-c", forbid, "sh", sys.executable, "-c", ENTER]
    said = run(words, Account("root", 0, 0)).stdout
    assert said.startswith("Unavailable: user.max_net_namespaces=0 allows no such namespace"), said


WITH_A_THREAD = (
    """
import threading
stop = threading.Event()
threading.Thread(target=stop.wait, name="refresher of the bar", daemon=True).start()
"""
    + ENTER
)


def test_a_thread_is_in_the_way_of_an_ordinary_user() -> None:
    """The kernel says no more than EINVAL; the message names the thread."""
    said = python(WITH_A_THREAD, ordinary())
    assert said.startswith("HarnessError: threads were started before the lab could be entered")
    assert "refresher of the bar." in said
    assert "python" not in said


@needs_root
def test_a_thread_is_not_in_the_way_of_root() -> None:
    assert python(WITH_A_THREAD, Account("root", 0, 0)) == "entered"


def test_a_filter_on_system_calls_is_named() -> None:
    """As a container's default one, which answers with EPERM."""
    account = Account("myself", os.geteuid(), os.getegid())
    forbidding = (
        """
from qemunet_tests.isolation import namespaces, syscalls
def refuse(flags):
    raise PermissionError(1, "unshare: Operation not permitted")
namespaces.unshare = refuse
"""
        + ENTER
    )
    said = python(forbidding, account)
    assert said.startswith("Unavailable: ")
    assert "namespaces" in said


# What containers take away


COVERS = {
    "a part of /sys": ("mount -t tmpfs tmpfs /sys/kernel", "Operation not permitted"),
    "/proc/sys": (
        "mount --bind /proc/sys /proc/sys && mount -o remount,bind,ro /proc/sys",
        "Read-only file system",
    ),
}


def covered(how: str, account: Account, *words: str) -> str:
    """What is said where a container's runtime covers something before anybody else comes."""
    script = f'set -e; {how}; exec "$@"'
    private = ["unshare", "--mount", "--propagation", "private", "sh", "-c", script, "sh"]
    done = run([*private, *account.prefix, *words, sys.executable, "-c", ENTER], account)
    assert done.returncode == 0, done.stderr
    return done.stdout


@needs_root
@pytest.mark.parametrize("what", COVERS)
def test_what_is_covered_is_said_with_the_flag_that_uncovers_it(what: str) -> None:
    how, error = COVERS[what]
    said = covered(how, ordinary())
    assert said.startswith(f"Unavailable: a part of /sys or /proc/sys is covered, as containers have it ({error}) |")
    assert "--security-opt systempaths=unconfined" in said


@needs_root
def test_root_who_may_uncover_nothing_is_told_the_same() -> None:
    how, error = COVERS["/proc/sys"]
    assert f"({error})" in covered(how, Account("root", 0, 0))


def without(*capabilities: str) -> list[str]:
    """The words that start a program as a container's root, who lacks these."""
    less = ",".join(f"-{capability}" for capability in capabilities)
    return ["setpriv", f"--bounding-set={less}", f"--inh-caps={less}", "--"]


@needs_root
def test_a_root_who_may_make_namespaces_but_no_links_is_told_so() -> None:
    said = run([*without("net_admin", "net_raw"), sys.executable, "-c", ENTER], Account("root", 0, 0)).stdout
    assert said == (
        "Unavailable: root is without NET_ADMIN, NET_RAW here | "
        "start the container with --cap-add NET_ADMIN --cap-add NET_RAW\n"
    )


@needs_root
def test_a_root_without_privileges_has_somebody_to_run_qemu_as() -> None:
    """In a user namespace, with the ids that his container has."""
    code = """
import subprocess
print(open("/proc/self/uid_map").read().split(), open("/proc/self/gid_map").read().split())
prefix = __import__("qemunet_tests.isolation.identity", fromlist=["x"]).unprivileged().prefix()
print(subprocess.run([*prefix, "id", "-u"], capture_output=True, text=True).stdout.strip())
print(subprocess.run(["ip", "link", "add", "br7", "type", "bridge"]).returncode)
"""
    words = [*without("sys_admin", "net_admin"), sys.executable, "-c", ENTER + code]
    said = run(words, Account("root", 0, 0)).stdout.splitlines()
    ids = ["0", "0", "1", "1", "1", "65535"]
    assert said == ["entered", f"{ids} {ids}", str(NOBODY), "0"]


@needs_root
def test_a_root_without_other_ids_is_told_to_be_somebody_else() -> None:
    words = [*without("sys_admin", "setuid"), sys.executable, "-c", ENTER]
    said = run(words, Account("root", 0, 0)).stdout
    assert said.startswith("Unavailable: root has no other user here that QEMU could run as | be an ordinary user")
