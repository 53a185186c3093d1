"""Booting a small Linux to see whether an accelerator really runs one, and how far it gets where it does not.

A /dev/kvm that opens, makes a machine and runs the BIOS may still hang a Linux kernel for ever.
"""

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import IO, Any, Literal

from qemunet_tests.deadline import Deadline
from qemunet_tests.errors import HarnessError
from qemunet_tests.isolation import enclosure
from qemunet_tests.isolation.enclosure import Running
from qemunet_tests.isolation.identity import unprivileged
from qemunet_tests.qemu.built_image import Image
from qemunet_tests.qemu.complaints import told_apart
from qemunet_tests.qemu.qemu_facts import Qemu

ProbedAccelerator = Literal["kvm", "tcg"]

#: What the guest's serial ports show, in order, and the name of the stage it proves.
STAGES = (
    (b"", "firmware"),
    (b"Probing EDD", "real mode"),
    (b"Linux version", "kernel start"),
    (b"QEMUNET READY", "userspace"),
)
USERSPACE = STAGES[-1][1]
#: After these nothing more will come.
FATAL = (b"KVM internal error", b"KVM: entry failed", b"Kernel panic")

LONGEST_KVM_SECONDS = 20.0
SHORTEST_KVM_SECONDS = 8.0
LONGEST_SOFTWARE_SECONDS = 90.0
#: KVM gets this many times what software needs before it is called hung.
PATIENCE = 3.0
MEMORY_MB = 256


#: Called like subprocess.Popen, with a list of words and the keywords stdin, stdout and stderr.
Launch = Callable[..., Running]


@dataclass(frozen=True)
class Boot:
    """How far one boot got. `seconds` counts to userspace, or to when it was given up or ended by itself."""

    accelerator: ProbedAccelerator
    stage: str
    seconds: float
    status: int | None = None
    #: What QEMU said that is no warning.
    complaint: str = ""

    @property
    def reached_userspace(self) -> bool:
        return self.stage == USERSPACE


@dataclass(frozen=True)
class Trial:
    """A boot under KVM and, beside it, one in software, which says how long a healthy boot takes here.

    `software` was cut short where KVM was the quicker.
    """

    kvm: Boot
    software: Boot

    @property
    def ran(self) -> bool:
        """Whether KVM ran anything, or QEMU gave up at once."""
        return self.kvm.status is None or self.kvm.stage != STAGES[0][1]


def launch_here(words: Sequence[str], **streams: Any) -> Running:
    """Start a program as ourselves, so that what it leaves behind ends with it."""
    # QEMU would take what lies in the current folder for its firmware.
    return subprocess.Popen(enclosure.words(words), cwd="/", **streams)


def launch_as_guests(words: Sequence[str], **streams: Any) -> Running:
    """The same as the user that guests run as."""
    return launch_here([*(unprivileged().prefix() if os.geteuid() == 0 else []), *words], **streams)


def race(qemu: Qemu, image: Image, launch: Launch = launch_as_guests) -> Trial:
    """Boot under KVM and in software at once. Takes as long as KVM needs, at most LONGEST_KVM_SECONDS.

    Raises HarnessError where QEMU cannot be started at all.
    """
    with _booting("tcg", qemu, image, launch) as software, _booting("kvm", qemu, image, launch) as kvm:
        deadline = Deadline(LONGEST_KVM_SECONDS, "a guest under KVM")

        def decided() -> bool:
            if kvm.look() or software.look():
                return kvm.over or kvm.seconds >= max(SHORTEST_KVM_SECONDS, PATIENCE * software.seconds)
            return False

        deadline.sees(decided, interval_seconds=0.05)
        return Trial(kvm.report(), software.report())


def boot_in_software(qemu: Qemu, image: Image, launch: Launch = launch_as_guests) -> Boot:
    """Boot without KVM. Raises HarnessError where QEMU cannot be started at all."""
    with _booting("tcg", qemu, image, launch) as guest:
        Deadline(LONGEST_SOFTWARE_SECONDS, "a guest in software").sees(guest.look, interval_seconds=0.05)
        return guest.report()


class _Guest:
    """One boot under way: its process, and what it wrote to files that have no name."""

    def __init__(
        self,
        accelerator: ProbedAccelerator,
        words: Sequence[str],
        process: Running,
        serial: IO[bytes],
        messages: IO[bytes],
    ) -> None:
        self._accelerator = accelerator
        self._words = words
        self._process = process
        self._serial = serial
        self._messages = messages
        self._clock = Deadline(0, "nothing")
        self._stage = STAGES[0][1]
        self._end_seconds: float | None = None
        self._status: int | None = None

    @property
    def over(self) -> bool:
        """Whether it reached userspace, ended, or will never get further."""
        return self._end_seconds is not None

    @property
    def seconds(self) -> float:
        return self._clock.elapsed_seconds if self._end_seconds is None else self._end_seconds

    def look(self) -> bool:
        """See how far it got; whether it is over."""
        if self.over:
            return True
        # The status first: what a process wrote before it ended is then surely read.
        self._status = self._process.poll()
        serial, messages = _content(self._serial), _content(self._messages)
        self._stage = next(name for mark, name in reversed(STAGES) if mark in serial)
        fatal = any(mark in text for mark in FATAL for text in (serial, messages))
        if self._stage == USERSPACE or self._status is not None or fatal:
            self._end_seconds = self._clock.elapsed_seconds
        return self.over

    def report(self) -> Boot:
        self.look()
        said = told_apart(_content(self._messages).decode(errors="replace"), self._words)
        return Boot(self._accelerator, self._stage, round(self.seconds, 2), self._status, "\n".join(said.errors))

    def end(self) -> None:
        """Leave nothing behind."""
        enclosure.end(self._process)


@contextlib.contextmanager
def _booting(accelerator: ProbedAccelerator, qemu: Qemu, image: Image, launch: Launch) -> Iterator[_Guest]:
    # Files without a name: whoever QEMU runs as can write them, and nothing is left if we are killed.
    with tempfile.TemporaryFile() as serial, tempfile.TemporaryFile() as messages:
        # Next to QEMU itself, because a change of user on the way would undo it.
        guard = ["setpriv", "--pdeathsig", "KILL", "--"] if shutil.which("setpriv") else []
        words = command_line(accelerator, qemu, image)
        try:
            process = launch([*guard, *words], stdin=subprocess.DEVNULL, stdout=serial, stderr=messages)
        except OSError as error:
            raise HarnessError(f"cannot start {[*guard, *words][0]}: {error.strerror}") from error
        guest = _Guest(accelerator, words, process, serial, messages)
        try:
            yield guest
        finally:
            guest.end()


def command_line(accelerator: ProbedAccelerator, qemu: Qemu, image: Image) -> list[str]:
    """The probe guest: no network, no disk, both serial ports on standard output."""
    return [
        str(qemu.path), "-accel", accelerator, "-machine", qemu.machine, "-m", str(MEMORY_MB),
        "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
        "-chardev", "stdio,id=out,mux=on,signal=off", "-serial", "chardev:out", "-serial", "chardev:out",
        "-kernel", str(image.kernel), "-initrd", str(image.initrd),
        # earlyprintk lets the kernel speak from real mode on; level 6 keeps it short and so twice as fast.
        "-append", "console=ttyS0 earlyprintk=ttyS0 loglevel=6 panic=-1 net.ifnames=0 no_timer_check",
    ]  # fmt: skip


def _content(stream: IO[bytes]) -> bytes:
    # The position in the file is shared with the process that writes it, and stays where that left it.
    descriptor = stream.fileno()
    content = b""
    while piece := os.pread(descriptor, 1 << 20, len(content)):
        content += piece
    return content
