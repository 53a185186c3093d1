"""The few system calls that Python 3.11 does not offer, by ctypes.

Names and constants are the kernel's: see namespaces(7), capabilities(7), mount(2).
"""

import contextlib
import ctypes
import os
from collections.abc import Iterator

CLONE_NEWNS = 0x0002_0000
CLONE_NEWUSER = 0x1000_0000
CLONE_NEWPID = 0x2000_0000
CLONE_NEWNET = 0x4000_0000

MS_RDONLY = 1
MS_NOSUID = 2
MS_REMOUNT = 0x20
MS_BIND = 0x1000
MS_REC = 0x4000
MS_PRIVATE = 0x4_0000
MNT_DETACH = 2

PR_SET_PDEATHSIG = 1
PR_CAP_AMBIENT = 47
PR_CAP_AMBIENT_RAISE = 2
CAPABILITY_VERSION_3 = 0x2008_0522

_libc = ctypes.CDLL(None, use_errno=True)


class _CapabilityHeader(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _CapabilitySet(ctypes.Structure):
    _fields_ = (
        ("effective", ctypes.c_uint32),
        ("permitted", ctypes.c_uint32),
        ("inheritable", ctypes.c_uint32),
    )


def _checked(result: int, call: str) -> None:
    if result != 0:
        errno = ctypes.get_errno()
        raise OSError(errno, f"{call}: {os.strerror(errno)}")


def unshare(flags: int) -> None:
    """Move the calling thread into new namespaces. Raises OSError."""
    _checked(_libc.unshare(flags), "unshare")


def setns(descriptor: int, kind: int) -> None:
    """Move the calling thread into the namespace behind `descriptor`. Raises OSError."""
    _checked(_libc.setns(descriptor, kind), "setns")


def mount(source: str, target: str, kind: str | None, flags: int = 0, data: str | None = None) -> None:
    """mount(2). Raises OSError."""
    encoded = [text.encode() if text is not None else None for text in (source, target, kind, data)]
    call = _libc.mount(encoded[0], encoded[1], encoded[2], ctypes.c_ulong(flags), encoded[3])
    _checked(call, f"mount {source} on {target}")


def unmount(target: str) -> None:
    """Detach whatever is mounted on `target`. Raises OSError."""
    _checked(_libc.umount2(target.encode(), MNT_DETACH), f"umount {target}")


def die_with_parent(signal: int) -> None:
    """Ask for `signal` when the thread that spawned this process ends."""
    _checked(_libc.prctl(PR_SET_PDEATHSIG, signal, 0, 0, 0), "prctl")


def pass_on_capabilities() -> None:
    """Make every capability held survive `exec`, which takes them from any user but root. Raises OSError."""
    header = _CapabilityHeader(CAPABILITY_VERSION_3, 0)
    sets = (_CapabilitySet * 2)()
    _checked(_libc.capget(ctypes.byref(header), sets), "capget")
    for half in sets:
        half.inheritable = half.permitted
    _checked(_libc.capset(ctypes.byref(header), sets), "capset")
    for capability in range(64):
        if sets[capability // 32].permitted >> (capability % 32) & 1:
            _checked(_libc.prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability, 0, 0), "prctl")


@contextlib.contextmanager
def file_access_as(uid: int, gid: int) -> Iterator[None]:
    """For a while the calling thread opens files as another user; which takes root, and else changes nothing."""
    before = _libc.setfsuid(-1), _libc.setfsgid(-1)
    _libc.setfsgid(gid)
    _libc.setfsuid(uid)
    try:
        yield
    finally:
        _libc.setfsuid(before[0])
        _libc.setfsgid(before[1])
