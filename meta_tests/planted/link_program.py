"""Hangs a program on a link's way out that drops what it sees, by TCX, which tc(8) does not list: `… LINK`; or takes it
off again: `… LINK off`."""

import ctypes
import os
import socket
import struct
import sys

_BPF = {"x86_64": 321, "aarch64": 280}[os.uname().machine]
_LOAD, _ATTACH, _DETACH, _EGRESS, _SCHED_CLS = 5, 8, 9, 47, 3
#: r0 = 2 (drop); exit.
_DROPS = struct.pack("<BBhi", 0xB7, 0, 0, 2) + struct.pack("<BBhi", 0x95, 0, 0, 0)


def bpf(command: int, attribute: bytes) -> int:
    buffer = ctypes.create_string_buffer(attribute, 128)
    answer = ctypes.CDLL(None, use_errno=True).syscall(_BPF, command, buffer, 128)
    if answer < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return int(answer)


def load() -> int:
    code, license_ = ctypes.create_string_buffer(_DROPS, len(_DROPS)), ctypes.create_string_buffer(b"GPL")
    attribute = struct.pack("<IIQQIIQII16s", _SCHED_CLS, 2, ctypes.addressof(code), ctypes.addressof(license_), 0, 0, 0,
                            0, 0, b"deny_all")  # fmt: skip
    return bpf(_LOAD, attribute)


if __name__ == "__main__":
    off = sys.argv[2:] == ["off"]
    # Without a program the kernel takes off the last one.
    program = 0 if off else load()
    bpf(_DETACH if off else _ATTACH, struct.pack("<IIII", socket.if_nametoindex(sys.argv[1]), program, _EGRESS, 0))
