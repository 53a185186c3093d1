"""A capture as it lies in a file, record by record. Source: pcap-savefile(5)."""

import struct
from dataclasses import dataclass
from pathlib import Path

from qemunet_tests.guest.filtered_wire import number_in

#: Of microseconds, in the writer's byte order; and the link type of Ethernet.
MAGIC, ETHERNET = 0xA1B2C3D4, 1
_HEADER, _RECORD = "=IHHiIII", "=IIII"


@dataclass(frozen=True)
class PcapRecord:
    """What was kept of a frame, and how long it was."""

    kept: bytes
    size_bytes: int


@dataclass(frozen=True)
class PcapFile:
    """`whole` says that the last record ends with the file."""

    magic: int
    version: tuple[int, int]
    longest_bytes: int
    link_type: int
    records: tuple[PcapRecord, ...]
    whole: bool


def read_pcap(file: Path) -> PcapFile:
    """Where there is not even a header, a file without records that is not whole."""
    data = file.read_bytes()
    at = struct.calcsize(_HEADER)
    if len(data) < at:
        return PcapFile(0, (0, 0), 0, 0, (), whole=False)
    magic, major, minor, _, _, longest_bytes, link_type = struct.unpack_from(_HEADER, data)
    records = []
    while at + struct.calcsize(_RECORD) <= len(data):
        _, _, kept_bytes, size_bytes = struct.unpack_from(_RECORD, data, at)
        at += struct.calcsize(_RECORD)
        records.append(PcapRecord(data[at : at + kept_bytes], size_bytes))
        at += kept_bytes
    return PcapFile(magic, (major, minor), longest_bytes, link_type, tuple(records), at == len(data))


def numbers_in(file: Path) -> list[int | None]:
    """Of the numbered frames that were kept; None for what else was."""
    return [number_in(record.kept) for record in read_pcap(file).records]
