"""Where AppArmor keeps user namespaces from ordinary users, as on Ubuntu 24.04: by sudo if it asks nothing, else not.

AppArmor is played by meta_tests/planted/apparmor.py. sudo is the real one where it is installed; a stand-in that
becomes root by the setuid bit is tried everywhere.
"""

import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from meta_tests.isolation.test_namespaces import ENTER
from meta_tests.patience import limit
from meta_tests.user_accounts import CHECKOUT

UID = 64_001
USER = "qemunet-ci"

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root to play AppArmor"),
    pytest.mark.skipif(
        any(folder.stat().st_mode & 0o005 != 0o005 for folder in (CHECKOUT, *CHECKOUT.parents)),
        reason=f"{CHECKOUT} is closed to ordinary users",
    ),
]

real_sudo = pytest.param(
    "real", id="sudo", marks=pytest.mark.skipif(not shutil.which("sudo"), reason="sudo is not installed")
)
with_sudo = pytest.mark.parametrize("sudo", [real_sudo, pytest.param("stand-in", id="stand-in")])
in_both_ways = pytest.mark.parametrize("apparmor", ["hollow", "refusing"])

#: Private copies of the files that name the user; $1 is their folder.
ACCOUNT = """
set -e
for file in passwd shadow group; do cp /etc/$file "$1/$file"; done
cp /etc/sudoers "$1/sudoers" 2>/dev/null || true
echo "$2:x:$3:$3::/nonexistent:/bin/sh" >>"$1/passwd"
echo "$2:*:19000:0:99999:7:::" >>"$1/shadow"
echo "$2:x:$3:" >>"$1/group"
if [ -n "$4" ] && [ -e "$1/sudoers" ]; then echo "$2 ALL=(ALL) NOPASSWD: ALL" >>"$1/sudoers"; fi
for file in passwd shadow group sudoers; do [ ! -e "$1/$file" ] || mount --bind "$1/$file" "/etc/$file"; done
shift 4
exec "$@"
"""
STAND_IN = """#!/bin/sh
[ "$1" = -n ] && [ "$2" = -- ] && shift 2
exec {python} -I -c 'import os, sys; os.setgid(0); os.setuid(0); os.execvp(sys.argv[1], sys.argv[1:])' "$@"
"""


class Ubuntu:
    """A machine where ordinary users may make no user namespaces, and one of them."""

    def __init__(self, apparmor: str, sudo: str | None, folder: Path) -> None:
        self._apparmor, self._sudo = apparmor, sudo
        self._files = folder / "etc"
        self._files.mkdir()
        self._programs = folder / "bin"
        self._programs.mkdir()
        if sudo == "stand-in":
            self._add_stand_in()
        elif sudo is None:
            # Found first, it answers as sudo does where a password is wanted.
            self._add_program("sudo", "#!/bin/sh\necho 'sudo: a password is required' >&2\nexit 1\n")

    def _add_stand_in(self) -> None:
        python = self._programs / "python-as-root"
        shutil.copy(Path(sys.executable).resolve(), python)
        python.chmod(0o755 | stat.S_ISUID)
        self._add_program("sudo", STAND_IN.format(python=python))

    def _add_program(self, name: str, text: str) -> None:
        program = self._programs / name
        program.write_text(text)
        program.chmod(0o755)

    def run(self, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
        may = "yes" if self._sudo == "real" else ""
        environment = {
            "PATH": f"{self._programs}:{CHECKOUT}/.venv/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME": "/nonexistent",
            **variables,
        }
        account = ["sh", "-c", ACCOUNT, "sh", str(self._files), USER, str(UID), may]
        user = ["setpriv", f"--reuid={UID}", f"--regid={UID}", "--clear-groups", "--inh-caps=-all"]
        given = [f"{name}={value}" for name, value in environment.items()]
        return subprocess.run(
            ["unshare", "--mount", "--propagation", "private", *account,
             sys.executable, "-m", "meta_tests.planted.apparmor", self._apparmor, *user, "env", "-i", *given, *words],
            cwd=CHECKOUT, capture_output=True, text=True, timeout=limit(240), check=False,
        )  # fmt: skip


LOOK = (
    ENTER
    + """
import os, subprocess
print(os.getuid(), *open("/proc/self/uid_map").read().split())
print(subprocess.run(["ip", "link", "add", "br7", "type", "bridge"]).returncode)
print(subprocess.run(["ip", "-o", "link", "show", "eth0"], capture_output=True).returncode != 0)
# What is privileged in here is nobody outside.
print(os.access("/etc/shadow", os.R_OK), open("/proc/self/status").read().split("NoNewPrivs")[0].count("Groups"))
"""
)


@in_both_ways
def test_the_stand_in_does_what_apparmor_does(apparmor: str, open_folder: Path) -> None:
    """util-linux says the same as it does on Ubuntu, and root is not concerned."""
    said = Ubuntu(apparmor, None, open_folder).run("unshare", "--user", "--map-root-user", "true")
    expected = {
        "hollow": "unshare: write failed /proc/self/uid_map: Operation not permitted\n",
        "refusing": "unshare: unshare failed: Permission denied\n",
    }
    assert said.stderr == expected[apparmor]
    words = [
        sys.executable,
        "-m",
        "meta_tests.planted.apparmor",
        apparmor,
        "unshare",
        "--user",
        "--map-root-user",
        "true",
    ]
    assert subprocess.run(words, cwd=CHECKOUT, timeout=limit(30), check=False).returncode == 0


@with_sudo
@in_both_ways
def test_entering_by_sudo(apparmor: str, sudo: str, open_folder: Path) -> None:
    """The user stays who he is, and is privileged inside."""
    done = Ubuntu(apparmor, sudo, open_folder).run(sys.executable, "-c", LOOK)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["entered", f"{UID} {UID} {UID} 1", "0", "True", "False 1"]


@in_both_ways
def test_without_sudo_it_is_not_possible_and_nothing_is_half_done(apparmor: str, open_folder: Path) -> None:
    done = Ubuntu(apparmor, None, open_folder).run(sys.executable, "-c", ENTER)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("Unavailable: ")
    assert "user namespace failed" in done.stdout or "id map failed" in done.stdout


@in_both_ways
def test_a_run_without_sudo_ends_with_3_and_one_reason(apparmor: str, open_folder: Path) -> None:
    done = Ubuntu(apparmor, None, open_folder).run("qemunet", "run", "user/address")
    assert done.returncode == 3, done.stdout + done.stderr
    reason, remedy = done.stderr.splitlines()
    assert "new namespaces" in reason
    assert remedy.startswith("qemunet: remedy: ")


@pytest.mark.slow
@with_sudo
@in_both_ways
def test_a_run_by_sudo_tries_guests_as_the_user(apparmor: str, sudo: str, open_folder: Path) -> None:
    report = open_folder / "report"
    report.mkdir()
    os.chown(report, UID, UID)
    claims = ("user/address", "user/no-privilege", "bridge/lease-address")
    done = Ubuntu(apparmor, sudo, open_folder).run("qemunet", "run", *claims, "--report", str(report))
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"QEMU runs as user {UID}" in (report / "summary.md").read_text()
    assert "3 claims: 3 holds" in done.stdout
