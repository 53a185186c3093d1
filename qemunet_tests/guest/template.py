"""Templates: guests that have booted, from which others are thawed instead of booting.

A template is the memory of a guest that waits before it configures its network, in a file, and the state of its
devices in another. A thawed guest maps the memory privately, copy on write. The template is saved with its NIC on a
hub port, a backend that has no state and no vnet_hdr, because such a state loads on every other backend.
"""

import contextlib
import errno
import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from qemunet_tests import trust
from qemunet_tests.deadline import Deadline
from qemunet_tests.errors import HarnessError
from qemunet_tests.qemu.guest_machine import GuestMachine
from qemunet_tests.qemu.qmp import Monitor

#: Part of every template's name: raise it when what is saved changes its meaning.
GENERATION = 6
MEMORY, STATE, CONSOLE, MANIFEST = "memory", "state", "console.log", "manifest.json"
#: What the guest does with its NICs before it is saved: a link that comes up slowly is up when it is thawed.
NETWORK = "linkup"
CHUNK_BYTES = 1 << 16
_ZEROS = bytes(CHUNK_BYTES)
#: Models whose PCI serial number is made of the MAC on the command line: QEMU loads no state with another.
MAC_IN_SERIAL_NUMBER = ("e1000e", "vmxnet3")
#: Told not to announce anything, QEMU takes the timer for it away from a device that could, and dies by SIGSEGV when
#: the guest's driver lets go of that device (7.2; virtio_net_reset calls timer_del).
NEVER_ANNOUNCES = {"virtio-net-pci": ",guest_announce=off"}


class TemplateDamaged(HarnessError):
    """A template's files are not what was saved."""


@dataclass(frozen=True)
class Template:
    """The files of a template, in a folder that the QEMU of a guest may write."""

    folder: Path
    models: tuple[str, ...]

    @property
    def memory(self) -> Path:
        return self.folder / MEMORY

    @property
    def state(self) -> Path:
        return self.folder / STATE

    @property
    def console(self) -> Path:
        """What the guest wrote before it was saved."""
        return self.folder / CONSOLE


def key(machine: GuestMachine, models: Sequence[str]) -> str:
    """Names everything a template depends on: it fits no other QEMU, accelerator, image, memory or NIC model.

    The libslirp is the installed one, which templates are made with: one of the caller's own is in none of them.
    """
    qemu = machine.qemu
    inputs = {
        "generation": GENERATION,
        "qemu": [*_identity(qemu.path), qemu.version_line],
        "libslirp": _identity(qemu.library) if qemu.library else [],
        "machine": machine.qemu.machine,
        "accel": machine.accel.used,
        "image": machine.image.digest,
        "cmdline": machine.image.guest.cmdline,
        "memory_mib": machine.image.guest.memory_mib,
        "models": list(models),
    }
    return hashlib.sha256(json.dumps(inputs, sort_keys=True).encode()).hexdigest()[:16]


def _identity(file: Path) -> list[str | int]:
    place = file.resolve()
    found = place.stat()
    return [str(place), found.st_size, found.st_mtime_ns]


def mac(number: int) -> str:
    """The MAC of a template's NIC. A thawed guest gives its NICs addresses of their own before it uses them."""
    return f"52:54:00:70:00:{number:02x}"


def device_mac(model: str, number: int, own: str) -> str:
    """The MAC on the command line of a thawed guest whose NIC is to have the address `own`."""
    return mac(number) if model in MAC_IN_SERIAL_NUMBER else own


def as_in_template(model: str, words: Sequence[str]) -> list[str]:
    """The words for a NIC, the device's last, with what a template's NICs of this model have besides."""
    *others, device = words
    return [*others, device + NEVER_ANNOUNCES.get(model, "")]


def nic_words(models: Sequence[str]) -> list[str]:
    """The NICs of a guest that is to become a template."""
    words = []
    for number, model in enumerate(models):
        words += ["-netdev", f"hubport,id=net{number},hubid={number}"]
        words += as_in_template(model, ["-device", f"{model},netdev=net{number},mac={mac(number)},romfile="])
    return words


def save(monitor: Monitor, state: Path, within_seconds: float) -> None:
    """Stop a guest for good and write the state of its devices; its memory is in its file already."""
    monitor.execute("stop")
    _ignore_shared(monitor)
    monitor.execute("migrate", uri=f"exec:cat > {state}")
    _wait_for_migration(monitor, within_seconds)


def thaw(monitor: Monitor, state: Path, within_seconds: float) -> None:
    """Load the state into a QEMU that was started with `-incoming defer`, and let it run. Raises HarnessError."""
    _ignore_shared(monitor)
    # Nobody moved: nobody has to be told by gratuitous frames where the template's address is now.
    monitor.execute("migrate-set-parameters", **{"announce-rounds": 0})
    monitor.execute("migrate-incoming", uri=f"exec:cat {state}")
    _wait_for_migration(monitor, within_seconds)
    monitor.execute("cont")


def _ignore_shared(monitor: Monitor) -> None:
    monitor.execute("migrate-set-capabilities", capabilities=[{"capability": "x-ignore-shared", "state": True}])


def _wait_for_migration(monitor: Monitor, within_seconds: float) -> None:
    def ended() -> str | None:
        status = monitor.execute("query-migrate").get("status")
        return status if status in ("completed", "failed", "cancelled") else None

    status = Deadline(within_seconds, "QEMU to move the guest's state").wait_until(ended, interval_seconds=0.005)
    if status != "completed":
        raise HarnessError(f"QEMU could not move the guest's state: {status}")


def store(made: Path, target: Path, models: Sequence[str], about: dict[str, str], maker_uid: int) -> None:
    """Copy what a QEMU of `maker_uid` wrote into `made`, and write down what it is, so that damage is noticed.

    Raises HarnessError where there is no room, OSError, Distrusted for what that user put there in the place of files
    of his.
    """
    with _room_in(target.parent):
        target.mkdir()
        sums = {name: _copied(made / name, target / name, maker_uid) for name in (MEMORY, STATE, CONSOLE)}
        (target / MANIFEST).write_text(json.dumps({"models": list(models), "about": about, "sha256": sums}, indent=1))


def copy(source: Path, target: Path) -> Template:
    """Copy a template and check it on the way. Raises TemplateDamaged, HarnessError where there is no room for it."""
    try:
        with trust.opened(source / MANIFEST) as stream:
            manifest = json.load(stream)
        with _room_in(target.parent):
            target.mkdir()
            for name in (MEMORY, STATE, CONSOLE):
                if _copied(source / name, target / name) != manifest["sha256"][name]:
                    raise TemplateDamaged(f"{source / name} is not what was saved")
        return Template(target, tuple(manifest["models"]))
    except BaseException as error:
        shutil.rmtree(target, ignore_errors=True)
        if not isinstance(error, OSError | ValueError | KeyError | TypeError):
            raise
        raise TemplateDamaged(f"the template in {source} cannot be read: {error}") from error


@contextlib.contextmanager
def _room_in(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise HarnessError(f"there is no room for a template in {folder}: {error.strerror}") from error
        raise


def _copied(source: Path, target: Path, owner_uid: int = 0) -> str:
    """Copy a file, leaving holes where it has only zeros; returns the SHA-256 of all else, with where it is."""
    digest = hashlib.sha256()
    with trust.opened(source, owner_uid) as reading, target.open("wb") as writing:
        for offset, chunk in _chunks(reading.fileno()):
            digest.update(offset.to_bytes(8) + chunk)
            writing.seek(offset)
            writing.write(chunk)
        size = os.fstat(reading.fileno()).st_size
        writing.truncate(size)
    digest.update(size.to_bytes(8))
    return digest.hexdigest()


def _chunks(descriptor: int) -> Iterator[tuple[int, bytes]]:
    """A file's chunks that have not only zeros, with their offsets. More than half of a guest's memory is unused."""
    at = 0
    while (data := _data_from(descriptor, at)) is not None:
        at = data - data % CHUNK_BYTES
        chunk = os.pread(descriptor, CHUNK_BYTES, at)
        if not chunk:
            return
        if chunk != _ZEROS[: len(chunk)]:
            yield at, chunk
        at += CHUNK_BYTES


def _data_from(descriptor: int, offset: int) -> int | None:
    """Where the next byte is that is in no hole; None behind the last."""
    try:
        return os.lseek(descriptor, offset, os.SEEK_DATA)
    except OSError as error:
        if error.errno != errno.ENXIO:
            raise
        return None
