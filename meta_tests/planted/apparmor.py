"""A stand-in for AppArmor's rule about user namespaces, for machines without AppArmor.

`python -m meta_tests.planted.apparmor refusing|hollow PROGRAM…` runs PROGRAM so that whoever of its processes asks for
a user namespace without having CAP_SYS_ADMIN is treated as AppArmor would. `refusing`: the call fails, as in Linux
since 6.7. `hollow`: it succeeds and brings no capabilities, as on Ubuntu 24.04. The kernel asks us about each such
call (seccomp_unotify(2)), which only root can arrange without forbidding the setuid bit to PROGRAM, sudo's among
others.
"""

import ctypes
import errno
import fcntl
import os
import select
import socket
import struct
import sys
from pathlib import Path

from qemunet_tests.isolation.syscalls import CLONE_NEWUSER

CAP_SYS_ADMIN = 21
NR_CLONE, NR_UNSHARE, NR_SECCOMP = 56, 272, 317
SET_MODE_FILTER, NEW_LISTENER = 1, 8
NOTIFY, ALLOW = 0x7FC0_0000, 0x7FFF_0000
NOTIFICATION_BYTES = 80
RECEIVE, SEND = 0xC050_2100, 0xC018_2101
CONTINUE = 1

#: Load the number; unshare or clone? Load the flags; CLONE_NEWUSER among them? Ask, else allow.
FILTER = (
    (0x20, 0, 0, 0),
    (0x15, 1, 0, NR_UNSHARE),
    (0x15, 0, 3, NR_CLONE),
    (0x20, 0, 0, 16),
    (0x45, 0, 1, CLONE_NEWUSER),
    (0x06, 0, 0, NOTIFY),
    (0x06, 0, 0, ALLOW),
)


class Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_void_p))


def install_filter() -> int:
    """From now on the kernel asks about this process and all it starts; returns where it asks."""
    code = b"".join(struct.pack("HBBI", *instruction) for instruction in FILTER)
    buffer = ctypes.create_string_buffer(code)
    program = Program(len(FILTER), ctypes.addressof(buffer))
    listener = ctypes.CDLL(None, use_errno=True).syscall(
        NR_SECCOMP, SET_MODE_FILTER, NEW_LISTENER, ctypes.byref(program)
    )
    if listener < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return int(listener)


def privileged(pid: int) -> bool:
    status = Path(f"/proc/{pid}/status").read_text().splitlines()
    effective = next(line.split()[1] for line in status if line.startswith("CapEff"))
    return bool(int(effective, 16) >> CAP_SYS_ADMIN & 1)


def answer(listener: int, hollow: bool) -> None:
    question = bytearray(NOTIFICATION_BYTES)
    try:
        fcntl.ioctl(listener, RECEIVE, question)
        number, pid = struct.unpack_from("QI", question)
        said = (0, CONTINUE) if privileged(pid) else (0 if hollow else -errno.EACCES, 0)
        fcntl.ioctl(listener, SEND, struct.pack("QqiI", number, 0, *said))
    except FileNotFoundError:
        return  # whoever asked is gone


def main(kind: str, words: list[str]) -> int:
    ours, theirs = socket.socketpair()
    child = os.fork()
    if child == 0:
        listener = install_filter()
        socket.send_fds(theirs, [b"."], [listener])
        os.close(listener)
        os.execvp(words[0], words)
    theirs.close()
    _, (listener,), _, _ = socket.recv_fds(ours, 1, 1)
    ended = os.pidfd_open(child)
    poll = select.poll()
    poll.register(listener, select.POLLIN)
    poll.register(ended, select.POLLIN)
    while True:
        ready = [descriptor for descriptor, event in poll.poll() if event & select.POLLIN]
        if listener in ready:
            answer(listener, kind == "hollow")
        elif ended in ready:
            return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
