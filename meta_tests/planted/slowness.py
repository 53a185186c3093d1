"""Makes a run slow where it measures: `pytest -p meta_tests.planted.slowness`.

QEMUNET_META_SLOWNESS says how: `late`, where every guest stands still for as long as spanning tree would keep it
waiting before it sets out; or `faltering`, where it stands still again and again, for as long as it happens. Both are
what a guest makes of a machine on which much else wants the CPU.
"""

import contextlib
import os
import random
import signal
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from qemunet_tests.guest.guest import Guest

#: Twice the forward delay, and a little.
LATE_SECONDS = 31.0
SLOWNESS = "QEMUNET_META_SLOWNESS"


def pytest_qemunet_lab_built() -> None:
    if os.environ[SLOWNESS] == "late":
        from qemunet_tests.guest.guest import Guest

        sets_out = Guest.start_network

        def sets_out_late(guest: Guest, thawed: bool, network: bool) -> None:
            os.kill(guest.qemu.process.pid, signal.SIGSTOP)
            threading.Event().wait(LATE_SECONDS)
            os.kill(guest.qemu.process.pid, signal.SIGCONT)
            sets_out(guest, thawed, network)

        Guest.start_network = sets_out_late


def pytest_qemunet_guest_booted(guest: "Guest") -> None:
    if os.environ[SLOWNESS] == "faltering":
        threading.Thread(target=_falter, args=(guest.qemu.process.pid,), daemon=True).start()


def _falter(pid: int) -> None:
    chance, pause = random.Random(pid), threading.Event()
    with contextlib.suppress(ProcessLookupError):
        while True:
            os.kill(pid, signal.SIGSTOP)
            pause.wait(chance.choice((0.05, 0.9)))
            os.kill(pid, signal.SIGCONT)
            pause.wait(chance.choice((0.1, 1.2)))
