"""Guests on the documentation's own command lines: no control port, and whatever else QEMU adds by itself."""

import shutil
import socket
from collections.abc import Callable, Sequence
from pathlib import Path

from qemunet_tests.guest.serial_shell import SerialShell
from qemunet_tests.isolation.processes import Process, stop
from qemunet_tests.qemu.built_image import copy_believed
from qemunet_tests.qemu.guest_machine import GuestMachine
from qemunet_tests.qemu.launcher import Launcher
from qemunet_tests.timeouts import Pace


class DocumentedGuests:
    """QEMU's standard input and output are a shell, which has not booted yet when it is returned.

    `vdisk` is the disk to boot from. Where KVM is unusable `-enable-kvm` is left out. Whoever boots one ends it.
    """

    def __init__(
        self, machine: GuestMachine, vdisk: Path, launcher: Launcher, pace: Pace, count: Callable[[str], None]
    ) -> None:
        self._machine = machine
        self._vdisk = vdisk
        self._launcher = launcher
        self._pace = pace
        self._count = count
        self._booted: dict[Process, tuple[SerialShell, Path]] = {}

    def boot(self, *words: str) -> tuple[SerialShell, Process]:
        """Boot with these words alone, typed in the folder where `vdisk.img` lies."""
        _, folder = self._launcher.new_folder("literal")
        try:
            copy_believed(self._vdisk, folder / "vdisk.img")
            self._launcher.identity.owns(folder / "vdisk.img")
            return self._start(folder, words)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise

    def boot_diskless(self, *words: str) -> tuple[SerialShell, Process]:
        """The same with the kernel loaded by QEMU: BIOS and boot loader take as long again, and say nothing of NICs."""
        _, folder = self._launcher.new_folder("literal")
        try:
            return self._start(folder, [*self._machine.kernel_in_default_memory(), *words])
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise

    def _start(self, folder: Path, words: Sequence[str]) -> tuple[SerialShell, Process]:
        qemu = self._machine.qemu
        # What these command lines leave unsaid means user networking.
        if obstacle := qemu.without_user_backend():
            raise obstacle.unavailable()
        usable = [word for word in words if word != "-enable-kvm" or self._machine.accel.used == "kvm"]
        ours, theirs = socket.socketpair()
        with theirs:
            command = [str(qemu.path), *usable]
            process = self._launcher.start_qemu(command, folder, stdin=theirs.fileno(), stdout=theirs.fileno())
        login = SerialShell(ours, self._pace, self._machine.image.guest)
        self._booted[process] = login, folder
        self._count("booted")
        return login, process

    def require_own_libslirp(self, process: Process) -> None:
        """Raises HarnessError where a QEMU that has begun has not the libslirp that is tried."""
        self._launcher.require_own_libslirp(process)

    def end(self, process: Process) -> None:
        """End one, and throw its disk away."""
        stop(process)
        login, folder = self._booted.pop(process)
        login.close()
        shutil.rmtree(folder, ignore_errors=True)
