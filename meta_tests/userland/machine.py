"""A machine that stands on an unpacked suite: what it writes lies in a folder of its own.

userlands/SUITE/machines/NAME/changes    what differs from the suite
                              .scratch   overlayfs's own
                              root       where it is mounted, in the machine's mount namespace alone
"""

import errno
import fcntl
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from meta_tests.userland import package_settings, unpacking
from meta_tests.userland.following import PATH, Command, run
from qemunet_tests.errors import UsageError
from qemunet_tests.isolation.syscalls import MS_BIND, MS_NOSUID, MS_RDONLY, MS_REMOUNT, mount, unmount
from qemunet_tests.lock import try_lock

CHECKOUT = Path(__file__).parents[2]
#: Where the copy of the checkout lies: everybody can enter.
WORKING_FOLDER = "/srv/qemunet"
ONCE = "once-"
#: Nodes that programs and guests need: the others are this machine's disks and the like.
NODES = ("null", "zero", "full", "random", "urandom", "tty", "net/tun", "kvm")
LINKS = {"ptmx": "pts/ptmx", "fd": "/proc/self/fd", "stdin": "fd/0", "stdout": "fd/1", "stderr": "fd/2"}
#: invoke-rc.d(8): 101 forbids whatever a package wants to start.
STARTS_NOTHING = "#!/bin/sh\nexit 101\n"


@contextmanager
def machine_folder(suite_folder: Path, name: str | None) -> Iterator[Path]:
    """A machine's folder, its own while it runs; one without a name is removed afterwards. Raises UsageError."""
    machines = suite_folder / "machines"
    with _locked(machines):
        _sweep(machines)
        folder = machines / name if name else Path(tempfile.mkdtemp(prefix=ONCE, dir=machines))
        for part in ("changes", ".scratch", "root"):
            (folder / part).mkdir(parents=True, exist_ok=True)
        folder.joinpath("changes").chmod(0o755)
        descriptor = os.open(folder, os.O_RDONLY)
        if not try_lock(descriptor):
            raise UsageError(f"the machine {name} is running")
    try:
        yield folder
    finally:
        if not name:
            unpacking.remove(folder)
        os.close(descriptor)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _sweep(machines: Path) -> None:
    """Remove what killed ones left."""
    for folder in machines.glob(f"{ONCE}*"):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            if try_lock(descriptor):
                unpacking.remove(folder)
        finally:
            os.close(descriptor)


def run_in(folder: Path, suite: str, mirror: str, words: list[str]) -> int:
    """Run a command in the machine and return its exit status."""
    environment = {
        **package_settings.environment(),
        "PATH": PATH,
        "HOME": "/root",
        "USER": "root",
        "LOGNAME": "root",
        "SHELL": "/bin/bash",
    }
    environment.setdefault("LANG", "C.UTF-8")
    return run(Command(words, WORKING_FOLDER, environment), lambda: _enter(folder, suite, mirror))


def _enter(folder: Path, suite: str, mirror: str) -> None:
    """Make the machine of this mount namespace, and be in it."""
    root = folder / "root"
    _lay_over(folder)
    socket.sethostname(suite)
    _write(root, "etc/hostname", f"{suite}\n")
    _write(root, "etc/hosts", f"127.0.0.1 localhost\n::1 localhost ip6-localhost\n127.0.1.1 {suite}\n")
    _write(root, "usr/sbin/policy-rc.d", STARTS_NOTHING, 0o755)
    for place in package_settings.give(root, _unpacked(folder), suite, mirror):
        _bind(place, root / place.relative_to("/"), read_only=True)
    _copy_checkout(root / WORKING_FOLDER.lstrip("/"))
    _mount_kernel_file_systems(root)
    _furnish_dev(root / "dev")
    _pivot(root)


def _unpacked(folder: Path) -> Path:
    """The suite below a machine's folder, as it was unpacked."""
    return folder.parents[1] / "root"


def _lay_over(folder: Path) -> None:
    """Mount the suite with the machine's changes over it, or a copy where the file system cannot bear that."""
    os.chdir(folder)
    try:
        mount("userland", "root", "overlay", 0, "lowerdir=../../root,upperdir=changes,workdir=.scratch")
    except OSError:
        if not any(Path("changes").iterdir()):
            subprocess.run(["cp", "-a", "--reflink=auto", "../../root/.", "changes"], check=True)
        mount("changes", "root", None, MS_BIND)


def _write(root: Path, name: str, text: str, mode: int = 0o644) -> None:
    (root / name).write_text(text)
    (root / name).chmod(mode)


def _bind(what: Path, where: Path, read_only: bool = False) -> None:
    if what.is_dir():
        where.mkdir(parents=True, exist_ok=True)
    else:
        where.parent.mkdir(parents=True, exist_ok=True)
        where.touch()
    mount(str(what), str(where), None, MS_BIND)
    if read_only:
        mount("none", str(where), None, MS_BIND | MS_REMOUNT | MS_RDONLY)


def _copy_checkout(there: Path) -> None:
    """The checkout as it is now, without history and without what git ignores, which a kept machine makes and keeps."""
    ignored = [line.rstrip("/") for line in (CHECKOUT / ".gitignore").read_text().splitlines()]
    left_out = shutil.ignore_patterns(".git", *ignored)
    there.mkdir(parents=True, exist_ok=True)
    names = [entry.name for entry in there.iterdir()]
    for name in set(names) - left_out(str(there), names):
        unpacking.remove(there / name)
    shutil.copytree(CHECKOUT, there, symlinks=True, ignore=left_out, dirs_exist_ok=True)


def _mount_kernel_file_systems(root: Path) -> None:
    mount("proc", f"{root}/proc", "proc")
    mount("sysfs", f"{root}/sys", "sysfs", MS_RDONLY)
    mount("tmpfs", f"{root}/dev", "tmpfs", MS_NOSUID, "mode=0755")
    mount("tmpfs", f"{root}/run", "tmpfs", MS_NOSUID, "mode=0755")
    (root / "run" / "lock").mkdir(mode=0o1777)


def _furnish_dev(dev: Path) -> None:
    for node in NODES:
        if Path("/dev", node).exists():
            _give_node(Path("/dev", node), dev / node)
    for folder, kind, options in (
        ("pts", "devpts", "newinstance,ptmxmode=0666,mode=0620,gid=5"),
        ("shm", "tmpfs", "mode=1777"),
    ):
        (dev / folder).mkdir()
        mount(kind, str(dev / folder), kind, MS_NOSUID, options)
    for name, target in LINKS.items():
        (dev / name).symlink_to(target)


def _give_node(node: Path, there: Path) -> None:
    """One of the machine's own: packages give nodes to groups of theirs, which are others here."""
    found = node.stat()
    there.parent.mkdir(exist_ok=True)
    try:
        os.mknod(there, found.st_mode, found.st_rdev)
        there.chmod(found.st_mode)
        os.chown(there, found.st_uid, found.st_gid)
        os.close(os.open(there, os.O_RDONLY | os.O_NONBLOCK))
    except OSError as refused:
        if refused.errno not in (errno.EPERM, errno.EACCES):
            # It opens where there is something behind it, as a terminal or KVM.
            return
        # A container's root may make none, or none that opens.
        there.unlink(missing_ok=True)
        _bind(node, there)


def _pivot(root: Path) -> None:
    """Make `root` the root of this mount namespace; the old one is gone from it."""
    os.chdir(root)
    # Root by su(1) may lack /usr/sbin.
    subprocess.run(["pivot_root", ".", "."], check=True, env={"PATH": PATH})
    unmount(".")
    os.chdir("/")
