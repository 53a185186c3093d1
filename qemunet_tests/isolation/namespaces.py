"""Leaving the machine: the namespaces a run lives in.

The process that runs the tests moves itself, so that everything it opens and starts is inside. An ordinary user
keeps his id and gets all capabilities over the new namespaces by way of a user namespace; root needs none.
"""

import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

from qemunet_tests import cache
from qemunet_tests.errors import HarnessError, Unavailable
from qemunet_tests.host import credentials
from qemunet_tests.isolation import user_namespace
from qemunet_tests.isolation.syscalls import (
    CLONE_NEWNET,
    CLONE_NEWNS,
    MS_BIND,
    MS_PRIVATE,
    MS_REC,
    die_with_parent,
    mount,
    setns,
    unmount,
    unshare,
)
from qemunet_tests.isolation.user_namespaces import COVERED, NamespaceAttempt, uncovered

#: A private tmpfs is mounted here, where every Linux has a folder for it. All that a run writes while it lasts
#: lies in it, so that it is gone with the last process of the run, however that ends.
SCRATCH = Path("/dev/shm")

#: The folder in it that all workers of a run have in common.
_SHARED = "shared"

#: Tells a run's workers, which were started in its controller's namespaces, what lies outside those.
MACHINE_NETWORK = "QEMUNET_MACHINE_NETWORK"

#: For making links and addresses, and for frames. The capability to make namespaces was there already.
NEEDED_BY_ROOT = {"NET_ADMIN": credentials.CAP_NET_ADMIN, "NET_RAW": credentials.CAP_NET_RAW}

_started_in: list[str] = []
_held_open: list[int] = []
_scratch: list[Path] = [SCRATCH]


def scratch() -> Path:
    """Where this run writes: SCRATCH, or, where none may be mounted there, a folder that `on_real_host` made."""
    return _scratch[0]


def write_into(folder: Path) -> None:
    """From now on `folder` is where this run writes."""
    _scratch[:] = [folder]


def shared() -> Path:
    """Where a run's workers find what the others have put there; without workers a folder like any other."""
    folder = scratch() / _SHARED
    folder.mkdir(mode=0o755, exist_ok=True)
    return folder


def entered() -> bool:
    """Whether this process has left the network namespace it was started in."""
    return bool(_started_in) and network_namespace() != _started_in[0]


def machine_network() -> str:
    """The identity of the machine's own network namespace, the one that the run was started in.

    It is nobody else's for as long as the run's controller lives, who holds the namespace open.
    """
    return os.environ.get(MACHINE_NETWORK) or network_namespace()


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
    cache.let_others_read()
    _started_in[:] = [network_namespace()]
    # A container's network may be this process's alone: it would end with the move, and its number could become that of
    # the next one made, perhaps a station's, whose programs would then look as if they were outside.
    _held_open.append(current_network())
    os.environ.setdefault(MACHINE_NETWORK, network_namespace())
    _unshare(CLONE_NEWNET | CLONE_NEWNS)
    for stage, step in (("mounts inside it", _make_private), (COVERED, _try_a_sys)):
        try:
            step()
        except OSError as error:
            raise _forbidden(stage, error) from error


def leave_network() -> None:
    """Move this process into a network namespace of its own; it keeps the machine's mounts. Raises as `enter` does."""
    _unshare(CLONE_NEWNET)


def _unshare(kinds: int) -> None:
    """Make namespaces as root, else inside a user namespace."""
    try:
        unshare(kinds)
    except PermissionError:
        _require_single_thread()
        user_namespace.enter()
    except OSError as error:
        raise _forbidden("namespaces as root", error) from error
    else:
        _require_roots_capabilities()
        return
    try:
        unshare(kinds)
    except OSError as error:
        raise _forbidden("namespaces inside it", error) from error


def _require_roots_capabilities() -> None:
    """Root's namespaces belong to the machine: what a container took from root it has not in them either."""
    held = credentials.read()
    missing = [name for name, capability in NEEDED_BY_ROOT.items() if not held.may(capability)]
    if missing:
        flags = " ".join(f"--cap-add {name}" for name in missing)
        raise Unavailable(f"root is without {', '.join(missing)} here", f"start the container with {flags}")


def _forbidden(stage: str, error: OSError) -> Unavailable:
    return user_namespace.forbidden(NamespaceAttempt(stage, error.errno or 0))


def enter_worker() -> None:
    """Give an xdist worker, whose parent has entered, a network and mounts of its own, but for what they share."""
    # Without its controller it would go on for many seconds, with or without a reaper.
    die_with_parent(signal.SIGKILL)
    _started_in[:] = [network_namespace()]
    unshare(CLONE_NEWNET | CLONE_NEWNS)
    # The tmpfs is about to cover it; and what is of another mount namespace could not be bound.
    of_all = os.open(shared(), os.O_PATH | os.O_DIRECTORY)
    try:
        _make_private()
        mount(f"/proc/self/fd/{of_all}", str(shared()), None, MS_BIND)
    finally:
        os.close(of_all)


def _require_single_thread() -> None:
    named = {thread.native_id: thread.name for thread in threading.enumerate()}
    others = [task for task in Path("/proc/self/task").iterdir() if task.name != str(os.getpid())]
    if others:
        # What Python did not start, as numpy's libraries do, has only the name that the kernel knows.
        names = [named.get(int(task.name)) or (task / "comm").read_text().strip() for task in others]
        raise HarnessError(
            "threads were started before the lab could be entered, which the kernel does not allow: "
            f"{', '.join(sorted(names))}. Import numpy, scipy and the like later, or pass a --qemunet- option "
            "so that the lab is entered before test files are loaded"
        )


def _make_private() -> None:
    mount("none", "/", None, MS_REC | MS_PRIVATE)
    mount("qemunet", str(SCRATCH), "tmpfs", 0, "mode=0755")


def _try_a_sys() -> None:
    """The lab will have a /sys of its own."""
    folder = SCRATCH / "sys"
    folder.mkdir()
    try:
        uncovered(str(folder))
        unmount(str(folder))
    finally:
        folder.rmdir()


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
    """The calling thread is in another network namespace for a while; sockets made there stay there.

    Where it is there already nothing is asked of the kernel, which would refuse an ordinary user on his own machine.
    """
    if os.fstat(network).st_ino == Path("/proc/thread-self/ns/net").stat().st_ino:
        yield
        return
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
