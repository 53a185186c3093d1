"""Programs that the kernel runs for packets and sockets, as the kernel itself lists them: no tool need be there.

On links those attached by TCX, which tc(8) does not list; on control groups what systemd's IPAddressDeny= and
SocketBindDeny= make. Sources: bpf(2), linux/bpf.h. Only who has CAP_NET_ADMIN in the machine's own namespaces is told.
"""

import ctypes
import errno
import os
import struct
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

_BPF = {"x86_64": 321, "aarch64": 280, "riscv64": 280}
_GET_PROGRAM_BY_ID, _GET_INFO, _QUERY = 13, 15, 16
_EFFECTIVE = 1
_MOST_PROGRAMS = 64
_ATTRIBUTE_BYTES, _INFO_BYTES = 128, 256
#: What a kernel says that has no such kind (TCX came with 6.6) or no programs at all, and of a folder that is no
#: control group's, as where nobody mounted them into a container.
_HAS_NONE = {errno.EINVAL, errno.ENOSYS, errno.EBADF}
#: Where linux/bpf.h has the count in a query's attribute, and the name in what is known of a program.
_COUNT_AT, _NAME_AT, _NAME_BYTES = 24, 64, 16
COMING, LEAVING = "what comes in", "what goes out"
ON_LINKS = {46: COMING, 47: LEAVING}
ON_GROUPS = {
    0: COMING,
    1: LEAVING,
    2: "new sockets",
    8: "bind",
    9: "bind by IPv6",
    10: "connect",
    11: "connect by IPv6",
    14: "datagrams sent",
    15: "datagrams sent by IPv6",
}


@dataclass(frozen=True)
class KernelProgram:
    """`decides` is what it is asked about; `name` is empty where whoever loaded it gave none."""

    name: str
    decides: str

    def __str__(self) -> str:
        return f"{self.name or 'a program without a name'} ({self.decides})"


def on_link(index: int) -> tuple[KernelProgram, ...]:
    """Those of a link, by its number. Raises OSError where we are not told."""
    return tuple(each for kind in ON_LINKS for each in _attached(index, kind, 0, ON_LINKS[kind]))


def on_group(path: str) -> tuple[KernelProgram, ...]:
    """Those that decide for processes of a control group, inherited ones included. Raises OSError."""
    group = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        return tuple(each for kind in ON_GROUPS for each in _attached(group, kind, _EFFECTIVE, ON_GROUPS[kind]))
    finally:
        os.close(group)


def _attached(target: int, kind: int, flags: int, decides: str) -> Iterator[KernelProgram]:
    numbers = (ctypes.c_uint32 * _MOST_PROGRAMS)()
    asked = struct.pack("=IIIIQI", target, kind, flags, 0, ctypes.addressof(numbers), _MOST_PROGRAMS)
    try:
        _, said = _call(_QUERY, asked)
    except OSError as error:
        if error.errno in _HAS_NONE:
            return
        raise
    (count,) = struct.unpack_from("=I", said, _COUNT_AT)
    for number in numbers[:count]:
        yield KernelProgram(_name(number), decides)


def _name(number: int) -> str:
    with suppress(OSError):
        program, _ = _call(_GET_PROGRAM_BY_ID, struct.pack("=I", number))
        try:
            info = ctypes.create_string_buffer(_INFO_BYTES)
            _call(_GET_INFO, struct.pack("=IIQ", program, _INFO_BYTES, ctypes.addressof(info)))
            return info.raw[_NAME_AT : _NAME_AT + _NAME_BYTES].partition(b"\0")[0].decode(errors="replace")
        finally:
            os.close(program)
    return ""


def _call(command: int, attribute: bytes) -> tuple[int, bytes]:
    """The answer and the attribute as the kernel leaves it. Raises OSError."""
    number = _BPF.get(os.uname().machine)
    if number is None:
        raise OSError("the number of bpf(2) is not known for this processor")
    buffer = ctypes.create_string_buffer(attribute, _ATTRIBUTE_BYTES)
    answer = ctypes.CDLL(None, use_errno=True).syscall(number, command, buffer, _ATTRIBUTE_BYTES)
    if answer < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return answer, buffer.raw
