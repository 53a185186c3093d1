"""A guest's memory in several regions, as a vhost-user backend is given it."""

import os
import struct

import pytest

from qemunet_tests.network.shared_memory import SharedMemory

PAGE_BYTES = 4096
#: Where the guest has each region, and where QEMU has it; each begins on the second page of its file.
REGIONS = ((0x0, 0x7000_0000), (0x10_0000, 0x9000_0000))


@pytest.fixture
def memory() -> SharedMemory:
    files, table = [], struct.pack("<II", len(REGIONS), 0)
    for guest, qemu in REGIONS:
        files.append(os.memfd_create("region"))
        os.truncate(files[-1], 2 * PAGE_BYTES)
        table += struct.pack("<QQQQ", guest, PAGE_BYTES, qemu, PAGE_BYTES)
    shared = SharedMemory()
    shared.map(table, files)
    return shared


@pytest.mark.parametrize(("guest", "qemu"), REGIONS)
def test_a_byte_has_an_address_of_either_kind(memory: SharedMemory, guest: int, qemu: int) -> None:
    memory.put_at_guest(guest + 8, b"frame")
    assert memory.of_qemu(qemu + 8, 5) == b"frame"
    memory.put_at_qemu(qemu + 8, b"FRAME")
    assert memory.of_guest(guest + 8, 5) == b"FRAME"


@pytest.mark.parametrize("address", [PAGE_BYTES - 2, PAGE_BYTES, 0x0F_FFFF, 0x10_0000 + PAGE_BYTES])
def test_what_is_not_shared_is_not_reached(memory: SharedMemory, address: int) -> None:
    with pytest.raises(ConnectionError):
        memory.of_guest(address, 4)


def test_what_was_forgotten_is_not_reached(memory: SharedMemory) -> None:
    memory.forget()
    with pytest.raises(ConnectionError):
        memory.of_guest(0, 1)
