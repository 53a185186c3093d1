"""A guest's memory as a vhost-user backend has it: pieces of files that QEMU has passed.

Source: "Vhost-user Protocol" in QEMU's interoperability manual, "Memory region description".
"""

import mmap
import os
import struct
from dataclasses import dataclass


@dataclass
class Region:
    """A piece of it: where the guest has it, how large it is, where QEMU has it, where in its file it begins."""

    guest: int
    size: int
    qemu: int
    offset: int
    memory: mmap.mmap


class SharedMemory:
    """Read and written by the guest's addresses, or by QEMU's own. Raises ConnectionError for what is not there."""

    def __init__(self) -> None:
        self._regions: list[Region] = []

    def map(self, table: bytes, descriptors: list[int]) -> None:
        """Take these regions in place of those from before; the descriptors are closed."""
        self.forget()
        for number, descriptor in enumerate(descriptors):
            guest, size, qemu, offset = struct.unpack_from("<QQQQ", table, 8 + 32 * number)
            memory = mmap.mmap(descriptor, size + offset)
            os.close(descriptor)
            self._regions.append(Region(guest, size, qemu, offset, memory))

    def forget(self) -> None:
        while self._regions:
            self._regions.pop().memory.close()

    def of_guest(self, address: int, count: int) -> bytes:
        memory, at = self._place(address, count, "guest")
        return memory[at : at + count]

    def put_at_guest(self, address: int, some: bytes) -> None:
        memory, at = self._place(address, len(some), "guest")
        memory[at : at + len(some)] = some

    def of_qemu(self, address: int, count: int) -> bytes:
        memory, at = self._place(address, count, "qemu")
        return memory[at : at + count]

    def put_at_qemu(self, address: int, some: bytes) -> None:
        memory, at = self._place(address, len(some), "qemu")
        memory[at : at + len(some)] = some

    def _place(self, address: int, count: int, whose: str) -> tuple[mmap.mmap, int]:
        for region in self._regions:
            at = address - (region.guest if whose == "guest" else region.qemu)
            if at >= 0 and at + count <= region.size:
                return region.memory, region.offset + at
        raise ConnectionError(f"no memory is shared at {address:#x}")
