"""Starting QEMU: where, as whom, with which privileges, and in a folder of its own."""

import contextlib
import copy
import itertools
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from qemunet_tests.isolation.identity import Identity
from qemunet_tests.isolation.namespaces import scratch
from qemunet_tests.isolation.processes import Process
from qemunet_tests.isolation.station import Station
from qemunet_tests.qemu.command_line import CONSOLE, QemuProcess
from qemunet_tests.qemu.netdev import Netdev
from qemunet_tests.qemu.own_libslirp import OwnLibslirp
from qemunet_tests.qemu.qemu_facts import Qemu
from qemunet_tests.qemu.setuid_helper import BridgeHelper, HostHelper

#: In a guest's folder, the one in which QEMU may make files of its own.
OWN = "qemu"

#: Of each file that QEMU writes: a console, a capture, the copy of a disk. A guest that floods them would fill the
#: memory that they lie in; so QEMU is ended by SIGXFSZ, which says why.
LIMIT_BYTES = 512 << 20


class Launcher:
    """Starts one QEMU at a station, as `identity`, with the bridge helper that serves it there."""

    def __init__(self, qemu: Qemu, station: Station, identity: Identity, helper: HostHelper | None) -> None:
        self.qemu = qemu
        self.station = station
        self.identity = identity
        self.helper: HostHelper | BridgeHelper = helper or BridgeHelper(
            qemu.helper_path, qemu.own_helper.path if qemu.own_helper else None, Path(qemu.access_list)
        )
        self._own_libslirp = OwnLibslirp(qemu.own_libslirp.path) if qemu.own_libslirp else None
        self._numbers = itertools.count(1)
        self._launched: list[QemuProcess] = []

    def at(self, station: Station) -> "Launcher":
        """The same at another station."""
        other = copy.copy(self)
        other.station = station
        return other

    def new_folder(self, kind: str) -> tuple[str, Path]:
        """A name that nothing else in this run has, and a folder of that name.

        The folder is ours, so that what we write and read in it is what we take it for. QEMU writes to the files that
        `give` makes for it, and makes its own in the folder OWN.
        """
        name = f"{kind}-{next(self._numbers)}"
        folder = scratch() / name
        folder.mkdir()
        # Whatever our umask says.
        folder.chmod(0o755)
        (folder / OWN).mkdir()
        self.identity.owns(folder / OWN)
        return name, folder

    def give(self, file: Path) -> Path:
        """Make an empty file that QEMU may write to, and nobody can put another in its place."""
        file.touch(0o644, exist_ok=False)
        self.identity.owns(file)
        return file

    def launch(
        self, words: Sequence[str], folder: Path, netdevs: Sequence[Netdev], serial_ports: int = 2
    ) -> QemuProcess:
        """Start QEMU with a monitor. Where that fails its folder is gone as well."""

        def start(command: Sequence[str], pass_fds: Sequence[int] = (), **options: object) -> Process:
            given = [*pass_fds, *(each for netdev in netdevs for each in netdev.descriptors)]
            own = {"capabilities": capabilities, "pass_fds": given}
            # It dates captures by mktime(3) of gmtime(3), which is right in UTC alone (net/dump.c).
            return self.start_qemu(command, folder, ["TZ=UTC"], **own, **options)

        try:
            for netdev in netdevs:
                if obstacle := netdev.missing(self.qemu):
                    raise obstacle.unavailable()
            # Which may find that this machine has no place for the helper's list.
            capabilities = self.capabilities(netdevs)
            self.give(folder / CONSOLE)
            qemu = QemuProcess(words, start, folder, serial_ports, self.require_own_libslirp)
            self._launched[:] = [*(each for each in self._launched if not each.ended_by_us), qemu]
            return qemu
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise

    def killed(self) -> str | None:
        """That somebody has killed a QEMU which we have not ended yet, and what is known of it; None else."""
        return next(filter(None, (each.killed for each in self._launched)), None)

    @contextlib.contextmanager
    def with_installed_libslirp(self) -> Iterator[None]:
        """Meanwhile QEMU is as it is installed, whatever is tried in it."""
        before, self._own_libslirp = self._own_libslirp, None
        try:
            yield
        finally:
            self._own_libslirp = before

    def start_qemu(
        self, words: Sequence[str], folder: Path, environment: Sequence[str] = (), **options: Any
    ) -> Process:
        """Start QEMU itself in a folder that `new_folder` made, with the libslirp that is tried.

        `options` are those of `start`.
        """
        own = self._own_libslirp.environment if self._own_libslirp else []
        # What `smb=` needs lies where TMPDIR says, and a QEMU that is killed leaves it there.
        # It looks for its firmware in the current folder first, whoever put a file there.
        changed = [f"TMPDIR={folder / OWN}", *environment, *own]
        return self.start(["env", *changed, *words], **{"cwd": folder, **options})

    def require_own_libslirp(self, process: Process) -> None:
        """Raises HarnessError where a QEMU that runs has not the libslirp that is tried."""
        if self._own_libslirp:
            self._own_libslirp.require_in(process.pid)

    def start(self, words: Sequence[str], capabilities: tuple[str, ...] = (), **options: object) -> Process:
        """Start a program as QEMU is started; `options` are those of subprocess."""
        limited = ["prlimit", f"--fsize={LIMIT_BYTES}", "--"]
        # A passt of 2026 that QEMU starts looks itself up in /proc.
        starts_passt = any(word.partition(",")[0] == "passt" for word in words)
        kept = [*self.identity.prefix(capabilities), *limited, *words]
        return self.station.start(kept, **{"own_proc": starts_passt, **options})

    def capabilities(self, netdevs: Sequence[Netdev]) -> tuple[str, ...]:
        """Those that a QEMU with these backends is to have."""

        def helper_serves() -> bool:
            return self.helper.serves(self.identity.uid)

        needed = (netdev.capabilities_needed(helper_serves) for netdev in netdevs)
        return tuple(sorted({capability for each in needed for capability in each}))
