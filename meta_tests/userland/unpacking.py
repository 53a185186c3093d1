"""Suites as mmdebstrap unpacked them: one folder each in root's cache, made once and used for about a week.

userlands/SUITE.lock        held exclusively while it is unpacked, shared while a machine stands on it
userlands/SUITE/root        the userland; no machine writes into it
userlands/SUITE/unpacked    the marker, written last and removed first
userlands/SUITE/machines    see machine.py
"""

import fcntl
import os
import shlex
import shutil
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from meta_tests.userland.following import PATH, Command, run
from meta_tests.userland.package_settings import LOGINS, apt_options
from meta_tests.userland.suites import release_of, sources_of
from qemunet_tests import cache
from qemunet_tests.errors import HarnessError, UsageError

#: A suite that moves is followed, though not with every run.
REUSED_SECONDS = 7 * 24 * 3600
MARKER = "unpacked"
#: Beside what every Debian has: what reaches a mirror by https.
PACKAGES = "ca-certificates"
#: What apt says, in English, where it reaches nobody.
_OFFLINE = ("Could not resolve", "Temporary failure resolving", "Could not connect", "Unable to connect", "Network is ")
# What a run may depend on is made now, and what unpacking needed of this machine does not stay.
_FINISHING = 'rm -rf "$1"/etc/apt/auth.conf "$1"/etc/apt/auth.conf.d/* "$1"/etc/apt/apt.conf.d/99mmdebstrap'


def shelf() -> Path:
    """The folder of all suites, root's alone. Raises UsageError where somebody else could have written into it."""
    cache.claim()
    folder = cache.make() / "userlands"
    # What is unpacked has programs that make anybody root, and logins of package sources may lie there.
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    if found.st_uid != 0 or not stat.S_ISDIR(found.st_mode) or found.st_mode & 0o077:
        raise UsageError(f"{folder} has to be a folder that only root can enter: remove it, or set QEMUNET_CACHE")
    return folder


@contextmanager
def held(suite: str, mirror: str) -> Iterator[Path]:
    """A suite's folder, unpacked if need be, which stays as it is meanwhile. Raises HarnessError, UsageError."""
    folder = shelf() / suite
    with folder.with_suffix(".lock").open("w") as lock:
        _have(folder, suite, mirror, lock.fileno())
        fcntl.flock(lock, fcntl.LOCK_SH)
        yield folder


def _have(folder: Path, suite: str, mirror: str, lock: int) -> None:
    """See that the folder holds an unpacked suite; an old one is made anew, unless a machine stands on it."""
    age = _age_seconds(folder)
    if age is not None and age < REUSED_SECONDS:
        return
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        if age is not None:
            return
        sys.stderr.write(f"userland: waiting for another that unpacks {suite}\n")
        fcntl.flock(lock, fcntl.LOCK_EX)
    age = _age_seconds(folder)
    if age is None or age >= REUSED_SECONDS:
        try:
            _unpack(folder, suite, mirror)
        except HarnessError as failed:
            if age is None:
                raise
            sys.stderr.write(f"userland: {failed}; the one unpacked {age / 86400:.0f} days ago is used\n")


def _age_seconds(folder: Path) -> float | None:
    """Since when a suite is there; None where it is not, or not whole."""
    try:
        return time.time() - (folder / MARKER).stat().st_mtime
    except OSError:
        return None


def remove(folder: Path) -> None:
    """Remove a folder, and nothing that happens to be mounted in it."""
    # The marker first: what is half removed is not whole.
    subprocess.run(["rm", "-rf", "--one-file-system", "--", str(folder / MARKER), str(folder)], check=False)


def _unpack(folder: Path, suite: str, mirror: str) -> None:
    if shutil.which("mmdebstrap") is None:
        raise UsageError("mmdebstrap is missing: get it with apt-get install mmdebstrap")
    new = folder.with_suffix(".new")
    remove(new)
    (new / "machines").mkdir(parents=True)
    sys.stderr.write(f"userland: unpacking {suite}: some minutes, once a week\n")
    log = new / "mmdebstrap.log"
    words = _mmdebstrap(new / "root", suite, mirror)
    with log.open("wb") as printing:
        environment = {**os.environ, "PATH": PATH, "LC_ALL": "C.UTF-8", "TMPDIR": str(new)}
        status = run(Command(words, str(new), environment, printing.fileno()), lambda: None)
    if status != 0:
        why = _why(suite, status, log.read_text(errors="replace"))
        remove(new)
        raise HarnessError(why)
    (new / MARKER).touch()
    remove(folder)
    new.rename(folder)


def _mmdebstrap(root: Path, suite: str, mirror: str) -> list[str]:
    logins = " ".join(shlex.quote(str(login)) for login in LOGINS if login.exists())
    hooks = [f'--setup-hook=cp -a {logins} "$1"/etc/apt/'] if logins else []
    options = [f"--aptopt={line}" for line in [*apt_options(), 'APT::Install-Recommends "false";']]
    return [
        *("mmdebstrap", "--mode=root", "--variant=minbase", "--format=directory", f"--include={PACKAGES}"),
        *options,
        *hooks,
        f"--customize-hook={_FINISHING}",
        release_of(suite),
        str(root),
        *sources_of(suite, mirror),
    ]


def _why(suite: str, status: int, log: str) -> str:
    """The reason in one line."""
    lines = [line for line in log.splitlines() if line.strip()]
    for line in lines:
        if any(words in line for words in _OFFLINE):
            return f"offline, so {suite} cannot be unpacked: {line.removeprefix('W: ').removeprefix('E: ').strip()}"
    errors = [line for line in lines if line.startswith(("E:", "Err:"))] or lines[-1:] or ["it said nothing"]
    return f"{suite} cannot be unpacked: mmdebstrap ended with status {status}: {errors[0].strip()}"
