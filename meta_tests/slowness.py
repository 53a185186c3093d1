"""Makes a run slow where it measures: `pytest -p meta_tests.slowness`.

QEMUNET_META_SLOWNESS says how: `late`, where the LAN's DHCP server keeps every guest waiting for longer than spanning
tree would; or `faltering`, where every guest stands still again and again, for as long as it happens, as where much
else wants the CPU.
"""

import contextlib
import os
import random
import signal
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from qemunet_tests.harness.guest import Guest
    from qemunet_tests.harness.lab import Lab

SLOWNESS = "QEMUNET_META_SLOWNESS"


def pytest_qemunet_lab_built(lab: "Lab") -> None:
    if os.environ[SLOWNESS] == "late":
        lab.dhcp.stop()
        lab.dhcp._words.append("--dhcp-reply-delay=32")
        lab.dhcp.start()


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
