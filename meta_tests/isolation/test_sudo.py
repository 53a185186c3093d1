"""An ordinary user calls us by the real sudo, from a folder that somebody has laid out: root believes nothing of it."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from meta_tests.isolation.hostile import HostileFolder
from meta_tests.isolation.test_ci_ubuntu import ACCOUNT, UID, USER
from meta_tests.isolation.test_hostile_folder import CARELESS
from meta_tests.patience import limit
from meta_tests.user_accounts import CHECKOUT
from qemunet_tests.qemu import qemu_facts

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root to give somebody sudo"),
    pytest.mark.skipif(not shutil.which("sudo"), reason="sudo is not installed"),
    pytest.mark.skipif(
        any(folder.stat().st_mode & 0o005 != 0o005 for folder in (CHECKOUT, *CHECKOUT.parents)),
        reason=f"{CHECKOUT} is closed to ordinary users",
    ),
]
#: Says who runs it, then is the QEMU.
WRAPPER = '#!/bin/sh\necho "$(id -u) $(id -G)" >>{log}\nexec {qemu} "$@"\n'


class Sudoer:
    """A user who may become root without a password, in a folder of his with a QEMU of his."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.hostile = HostileFolder(folder)
        self.ran_as = folder / "ran-as"
        self.qemu = self.hostile.folder / "qemu"
        self.qemu.write_text(WRAPPER.format(log=self.ran_as, qemu=qemu_facts.find().path))
        self.qemu.chmod(0o755)
        (self.hostile.folder / "cache" / "images").mkdir(parents=True)
        for name in ("setpriv", "env", "sh", "cat", "ip", "nft", "dnsmasq"):
            self._program(name)
        for path in (folder, *folder.rglob("*")):
            os.chown(path, UID, UID, follow_symlinks=False)

    def _program(self, name: str) -> None:
        program = self.hostile.folder / name
        program.write_text(f'#!/bin/sh\necho "{name} as $(/usr/bin/id -u)" >>{self.folder}/executed\n')
        program.chmod(0o755)

    def sudo(self, *words: str, typed: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
        """What comes of `sudo WORDS`, typed by him in his folder."""
        place = self.folder.parent / "etc"
        place.mkdir(exist_ok=True)
        become = ["setpriv", f"--reuid={UID}", f"--regid={UID}", "--clear-groups", "--inh-caps=-all", "--"]
        account = ["sh", "-c", ACCOUNT, "-", str(place), USER, str(UID), "sudo"]
        return subprocess.run(
            ["unshare", "--mount", "--", *account, *become, "env", "-i", *_spelled(environment), "sudo", *words],
            cwd=self.hostile.folder, input=typed, capture_output=True, text=True, check=False, timeout=limit(300),
        )  # fmt: skip

    @property
    def files_of_roots(self) -> list[str]:
        return [str(path) for path in self.folder.rglob("*") if path.lstat().st_uid == 0]


def _spelled(environment: dict[str, str]) -> list[str]:
    plain = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": "/nonexistent", "TERM": "dumb", "LOGNAME": USER}
    return [f"{name}={value}" for name, value in {**plain, **environment}.items()]


@pytest.fixture
def sudoer(open_folder: Path) -> Iterator[Sudoer]:
    (open_folder / "his").mkdir()
    yield Sudoer(open_folder / "his")


BOOTSTRAP = str(CHECKOUT / "bootstrap")


def test_a_run_is_roots_and_its_guests_are_his(sudoer: Sudoer) -> None:
    words = ("qemunet", "run", "user/gateway", "user/address", "-n", "2", "--accel", "tcg", "--qemu", "./qemu")
    done = sudoer.sudo(BOOTSTRAP, *words)
    assert done.returncode == 0, done.stdout + done.stderr
    assert not sudoer.hostile.executed
    ran_as = {line.split()[0] for line in sudoer.ran_as.read_text().splitlines()}
    assert ran_as == {str(UID)}, "QEMU runs as whoever called sudo, and is asked as him"
    assert not sudoer.files_of_roots


def test_a_shell_is_given_from_his_folder(sudoer: Sudoer) -> None:
    done = sudoer.sudo(BOOTSTRAP, "qemunet", "shell", "user", typed="echo so $((6 * 7))\n")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "so 42" in done.stdout
    assert not sudoer.hostile.executed
    assert not sudoer.files_of_roots


def test_what_sudo_was_told_to_keep_of_his_environment_is_not_believed(sudoer: Sudoer) -> None:
    """`sudo -E`, and variables on its command line: even then nothing of his folder is executed by root."""
    kept = [f"{name}={value}" for name, value in CARELESS.items()]
    careless = ("env", "PATH=.:/usr/local/bin:/usr/bin:/bin:/usr/sbin", BOOTSTRAP)
    done = sudoer.sudo("-E", *kept, *careless, "qemunet", "run", "user/gateway", "--accel", "tcg", "-n", "1")
    assert done.returncode == 0, done.stdout + done.stderr
    assert not sudoer.hostile.executed


def test_his_cache_is_not_roots(sudoer: Sudoer) -> None:
    done = sudoer.sudo(f"QEMUNET_CACHE={sudoer.hostile.folder}/cache", BOOTSTRAP, "qemunet", "run", "user/gateway")
    assert done.returncode == 2, done.stdout
    assert "cannot be believed" in done.stderr
    assert done.stderr.count("\n") == 1


def test_his_report_folder_takes_a_report_and_leads_nowhere(sudoer: Sudoer) -> None:
    victim = sudoer.folder.parent / "victim"
    victim.write_text("as it was")
    out = sudoer.hostile.folder / "out"
    out.mkdir()
    os.chown(out, UID, UID)
    for name in ("results.json", "junit.xml", "summary.md", "report.html"):
        (out / name).symlink_to(victim)
    words = ("qemunet", "run", "user/gateway", "--accel", "tcg", "-n", "1", "--report", "out", "--keep")
    done = sudoer.sudo(BOOTSTRAP, *words)
    assert done.returncode == 0, done.stdout + done.stderr
    assert victim.read_text() == "as it was"
    assert (out / "results.json").is_file()
    assert not (out / "results.json").is_symlink()
