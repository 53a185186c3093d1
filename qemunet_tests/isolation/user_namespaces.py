"""Whether this user may make the namespaces that the lab consists of: tried, not guessed.

Sources: user_namespaces(7), unshare(2), and Ubuntu's kernel.apparmor_restrict_unprivileged_userns.
"""

import errno
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from qemunet_tests.host.credentials import Credentials
from qemunet_tests.host.files import MACHINE, read_int
from qemunet_tests.host.obstacle import Obstacle
from qemunet_tests.host.system import HostSystem
from qemunet_tests.isolation.syscalls import (
    CLONE_NEWNET,
    CLONE_NEWNS,
    CLONE_NEWUSER,
    MS_PRIVATE,
    MS_RDONLY,
    MS_REC,
    mount,
    unshare,
)

APPARMOR = "kernel.apparmor_restrict_unprivileged_userns"
CLONE_SETTING = "kernel.unprivileged_userns_clone"
LIMITS = ("user.max_user_namespaces", "user.max_net_namespaces", "user.max_mnt_namespaces")

#: In the order tried. Without privilege the first fails and the rest must work; with it the first is enough.
STAGES = (
    "namespaces as root",
    "user namespace",
    "id map",
    "namespaces inside it",
    "mounts inside it",
    "a /sys of its own",
)
#: What fails there has nothing to do with who asks.
COVERED = STAGES[-1]
_ANSWER_BYTES = 3


@dataclass(frozen=True)
class NamespaceAttempt:
    """`failed_stage` is one of STAGES, or None where all went well; `error` is its errno."""

    failed_stage: str | None
    error: int = 0
    as_root: bool = False


def attempt() -> NamespaceAttempt:
    """Make the namespaces in a child that ends at once. Takes about 10 ms."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(writing, bytes(_try_everything()))
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as stream:
        answer = stream.read()
    os.waitpid(child, 0)
    if len(answer) != _ANSWER_BYTES:
        # Killed by a filter on system calls, which need not answer with an errno.
        return NamespaceAttempt(STAGES[1], errno.EPERM)
    stage, error, as_root = answer
    return NamespaceAttempt(STAGES[stage - 1] if stage else None, error, bool(as_root))


def _try_everything() -> tuple[int, int, int]:
    """(0 or the number of the stage that failed, its errno, whether a user namespace was unnecessary)."""
    try:
        unshare(CLONE_NEWNET | CLONE_NEWNS)
        mount("none", "/", None, MS_REC | MS_PRIVATE)
    except OSError:
        pass
    else:
        return *_tried(len(STAGES), lambda: uncovered("/sys")), 1
    uid, gid = os.getuid(), os.getgid()
    steps: tuple[Callable[[], None], ...] = (
        lambda: unshare(CLONE_NEWUSER),
        lambda: _map_ids(uid, gid),
        lambda: unshare(CLONE_NEWNET | CLONE_NEWNS),
        lambda: mount("none", "/", None, MS_REC | MS_PRIVATE),
        lambda: uncovered("/sys"),
    )
    for number, step in enumerate(steps, start=2):
        stage, error = _tried(number, step)
        if stage:
            return stage, error, 0
    return 0, 0, 0


def _tried(number: int, step: Callable[[], None]) -> tuple[int, int]:
    try:
        step()
    except OSError as refused:
        return number, (refused.errno or 0) & 0xFF
    return 0, 0


def uncovered(folder: str) -> None:
    """Mount a /sys of the network namespace entered on `folder`, and see that sysctls of it can be set.

    Raises OSError where a container's runtime covered a part of /sys or of /proc/sys, which nobody may uncover.
    """
    os.close(os.open("/proc/sys/net/ipv4/ip_forward", os.O_WRONLY))
    mount("sysfs", folder, "sysfs", MS_RDONLY)


def _map_ids(uid: int, gid: int) -> None:
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{uid} {uid} 1")
    Path("/proc/self/gid_map").write_text(f"{gid} {gid} 1")


def obstacle(
    tried: NamespaceAttempt, credentials: Credentials, machine: HostSystem, root: Path = MACHINE
) -> Obstacle | None:
    """Which setting forbade it and the command that allows it, or None where it went well."""
    if tried.failed_stage is None:
        return None
    if tried.failed_stage == COVERED:
        return Obstacle(
            f"a part of /sys or /proc/sys is covered, as containers have it ({os.strerror(tried.error)})",
            f"start the container with {uncovering(machine.container)}",
        )
    if setting := _forbidding_setting(credentials, root):
        return setting
    if tried.error == errno.ENOSPC:
        return Obstacle(
            "a limit on the number of namespaces is reached (user.max_*_namespaces, or 32 levels deep)",
            f"{credentials.sudo}sysctl -w user.max_user_namespaces=10000, or end what holds namespaces: lsns",
        )
    return _refused(tried, credentials, machine)


def _forbidding_setting(credentials: Credentials, root: Path) -> Obstacle | None:
    sudo = credentials.sudo
    if _setting(root, APPARMOR) == 1 and credentials.effective_uid != 0:
        return Obstacle(
            f"{APPARMOR}=1 forbids user namespaces to ordinary users",
            f"{sudo}sysctl -w {APPARMOR}=0, or run as root",
        )
    if _setting(root, CLONE_SETTING) == 0:
        return Obstacle(
            f"{CLONE_SETTING}=0 forbids user namespaces to ordinary users",
            f"{sudo}sysctl -w {CLONE_SETTING}=1, or run as root",
        )
    for limit in LIMITS:
        if _setting(root, limit) == 0:
            return Obstacle(f"{limit}=0 allows no such namespace", f"{sudo}sysctl -w {limit}=10000")
    return None


def _refused(tried: NamespaceAttempt, credentials: Credentials, machine: HostSystem) -> Obstacle:
    said = f"{tried.failed_stage} failed: {os.strerror(tried.error)}"
    if machine.container is not None or credentials.system_calls_filtered:
        where = f"the container ({machine.container})" if machine.container else "a filter on system calls"
        return Obstacle(
            f"{where} forbids new namespaces ({said})",
            "start the container with --security-opt seccomp=unconfined --security-opt apparmor=unconfined "
            f"{uncovering(machine.container)}",
        )
    return Obstacle(f"the kernel refuses new namespaces ({said})", "run as root, outside any chroot")


def uncovering(container: str | None) -> str:
    """The flag that leaves /sys and /proc/sys of a container as the kernel made them."""
    return "--security-opt unmask=ALL" if container == "podman" else "--security-opt systempaths=unconfined"


def _setting(root: Path, name: str) -> int | None:
    return read_int(root, f"/proc/sys/{name.replace('.', '/')}")
