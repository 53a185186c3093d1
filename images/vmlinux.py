"""Taking the kernel proper out of its self-extracting wrapper.

QEMU starts an uncompressed kernel at its PVH entry point (QEMU 4.0 on, kernel option CONFIG_PVH). Without firmware
calls in real mode and without unpacking itself, a kernel under TCG is up about 3 s sooner.
"""

import io
import struct
from pathlib import Path

import libarchive
from elftools.common.exceptions import ELFError
from elftools.elf.elffile import ELFFile
from elftools.elf.segments import NoteSegment

from qemunet_tests.errors import HarnessError

# Offsets in the header of a bzImage: Documentation/arch/x86/boot.rst of Linux.
SETUP_SECTORS = 0x1F1
MAGIC = 0x202
PAYLOAD_OFFSET = 0x248
SECTOR_BYTES = 512
# XEN_ELFNOTE_PHYS32_ENTRY, the 32-bit entry point that PVH starts at; pyelftools has only the number of it.
PVH_ENTRY_NOTE = "18"


def bootable(bzimage: Path) -> bytes:
    """What QEMU is to be given as -kernel: the plain kernel if it has a PVH entry, else the file as it is.

    Raises HarnessError where the file is no Linux kernel.
    """
    wrapped = bzimage.read_bytes()
    if wrapped[MAGIC : MAGIC + 4] != b"HdrS":
        raise HarnessError(f"{bzimage.name} is not a Linux kernel for x86")
    plain = _payload(wrapped)
    return plain if _has_pvh_entry(plain) else wrapped


def _payload(wrapped: bytes) -> bytes:
    """The compressed kernel inside, decompressed; the kernel's build appends its size."""
    start = (wrapped[SETUP_SECTORS] + 1) * SECTOR_BYTES
    offset, length = struct.unpack_from("<II", wrapped, PAYLOAD_OFFSET)
    payload = wrapped[start + offset : start + offset + length]
    (size,) = struct.unpack_from("<I", payload, len(payload) - 4)
    try:
        with libarchive.memory_reader(_without_size(payload), format_name="raw") as archive:
            for entry in archive:
                plain = b"".join(entry.get_blocks())
                return plain if len(plain) == size else b""
    except libarchive.ArchiveError:
        # A compression this libarchive does not know: QEMU starts the wrapped kernel as well.
        return b""
    return b""


def _without_size(payload: bytes) -> bytes:
    """Only gzip has the size as a part of its own format."""
    return payload if payload.startswith(b"\x1f\x8b") else payload[:-4]


def _has_pvh_entry(plain: bytes) -> bool:
    try:
        elf = ELFFile(io.BytesIO(plain))
        return any(
            note["n_name"] == "Xen" and str(note["n_type"]) == PVH_ENTRY_NOTE
            for part in elf.iter_segments()
            if isinstance(part, NoteSegment)
            for note in part.iter_notes()
        )
    except ELFError:
        return False
