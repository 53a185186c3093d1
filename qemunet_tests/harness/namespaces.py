"""Leaving the machine: the namespaces a run lives in.

The process that runs the tests moves itself, so that everything it opens and starts is inside. An ordinary user
keeps his id and gets all capabilities over the new namespaces by way of a user namespace; root needs none.
"""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from qemunet_tests.harness.errors import HarnessError, Unavailable
from qemunet_tests.harness.subordinate import RootLender
from qemunet_tests.harness.syscalls import (
    CLONE_NEWNET,
    CLONE_NEWNS,
    CLONE_NEWUSER,
    MS_PRIVATE,
    MS_REC,
    mount,
    pass_on_capabilities,
    setns,
    unshare,
)

#: A private tmpfs is mounted here, where every Linux has a folder for it. All that a run writes while it lasts
#: lies in it, so that it is gone with the last process of the run, however that ends.
SCRATCH = Path("/dev/shm")

_own_network: list[str] = []


def entered() -> bool:
    """Whether this process has left the machine's network namespace."""
    return bool(_own_network) and network_namespace() != _own_network[0]


def machine_network() -> str:
    """The identity of the network namespace this process was started in."""
    return _own_network[0] if _own_network else network_namespace()


def network_namespace(pid: int | str = "thread-self") -> str:
    """The identity of a process's network namespace, for instance `net:[4026531840]`."""
    return str(Path(f"/proc/{pid}/ns/net").readlink())


def enter() -> None:
    """Move this process into namespaces of its own.

    Must come before any thread exists. Raises Unavailable where the kernel forbids it, HarnessError where
    threads exist already. Does nothing the second time.
    """
    if entered():
        return
    _own_network[:] = [network_namespace()]
    try:
        unshare(CLONE_NEWNET | CLONE_NEWNS)
    except PermissionError:
        _enter_user_namespace()
    _make_private()


def enter_worker() -> None:
    """Give an xdist worker, whose parent has entered, a network and mounts of its own."""
    _own_network[:] = [network_namespace()]
    unshare(CLONE_NEWNET | CLONE_NEWNS)
    _make_private()


def _enter_user_namespace() -> None:
    _require_single_thread()
    uid, gid = os.getuid(), os.getgid()
    lender = RootLender()
    try:
        unshare(CLONE_NEWUSER | CLONE_NEWNET | CLONE_NEWNS)
        Path("/proc/self/setgroups").write_text("deny")
        if not lender.lends():
            Path("/proc/self/uid_map").write_text(f"{uid} {uid} 1")
        Path("/proc/self/gid_map").write_text(f"{gid} {gid} 1")
        pass_on_capabilities()
    except OSError as error:
        raise user_namespaces_forbidden(error) from error


def _require_single_thread() -> None:
    threads = [Path(task, "comm").read_text().strip() for task in Path("/proc/self/task").iterdir()]
    if len(threads) > 1:
        raise HarnessError(
            "threads were started before the lab could be entered, which the kernel does not allow: "
            f"{', '.join(sorted(threads))}. Import numpy, scipy and the like later, or pass a --qemunet- option "
            "so that the lab is entered before test files are loaded"
        )


def user_namespaces_forbidden(error: OSError) -> Unavailable:
    """Which setting keeps an ordinary user from making namespaces, and how root would allow it."""
    settings = {
        "kernel/apparmor_restrict_unprivileged_userns": (
            "1",
            "kernel.apparmor_restrict_unprivileged_userns=0",
        ),
        "kernel/unprivileged_userns_clone": ("0", "kernel.unprivileged_userns_clone=1"),
        "user/max_user_namespaces": ("0", "user.max_user_namespaces=10000"),
    }
    for name, (forbidding, remedy) in settings.items():
        setting = Path("/proc/sys", name)
        if setting.is_file() and setting.read_text().strip() == forbidding:
            return Unavailable(
                f"user namespaces are forbidden here by {name.replace('/', '.', 1)}={forbidding}",
                f"sudo sysctl -w {remedy}, or run as root",
            )
    return Unavailable(
        f"the kernel refused new namespaces ({error.strerror})",
        "run as root, or in a container that was started with CAP_SYS_ADMIN and without a seccomp filter on unshare",
    )


def _make_private() -> None:
    mount("none", "/", None, MS_REC | MS_PRIVATE)
    mount("qemunet", str(SCRATCH), "tmpfs", 0, "mode=0755")


def new_network() -> int:
    """A file descriptor of a new, empty network namespace. The namespace lives while something refers to it."""
    with _restored_network():
        unshare(CLONE_NEWNET)
        return os.open("/proc/thread-self/ns/net", os.O_RDONLY)


def current_network() -> int:
    """A file descriptor of the network namespace of the calling thread."""
    return os.open("/proc/thread-self/ns/net", os.O_RDONLY)


@contextlib.contextmanager
def inside(network: int) -> Iterator[None]:
    """The calling thread is in another network namespace for a while; sockets made there stay there."""
    with _restored_network():
        setns(network, CLONE_NEWNET)
        yield


@contextlib.contextmanager
def _restored_network() -> Iterator[None]:
    before = current_network()
    try:
        yield
    finally:
        setns(before, CLONE_NEWNET)
        os.close(before)
