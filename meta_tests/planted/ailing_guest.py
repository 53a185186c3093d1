"""Makes the first guest of a run ail before its test sees it: `pytest -p meta_tests.planted.ailing_guest`.

QEMUNET_META_AILMENT says of what: `panic`; `hang`, which is QEMU's monitor standing still; or `no-memory`, as where
the kernel has killed the guest to get some.
"""

import os
import resource
import signal
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from qemunet_tests.guest.guest import Guest

AILMENT = "QEMUNET_META_AILMENT"
ENOUGH_BYTES = 48 << 20

_ailed: list[str] = []


def pytest_qemunet_guest_booted(guest: "Guest") -> None:
    if _ailed:
        return
    _ailed.append(guest.name)
    if os.environ[AILMENT] == "panic":
        guest.run("echo c >/proc/sysrq-trigger; sleep 1000")
    elif os.environ[AILMENT] == "hang":
        os.kill(guest.qemu.process.pid, signal.SIGSTOP)
        guest.monitor.execute("query-status", within_seconds=1.0)
    else:
        _have_no_more_memory()
        os.kill(guest.qemu.process.pid, signal.SIGKILL)
        guest.run("true")


def _have_no_more_memory() -> None:
    """Neither this process nor what it starts; enough is left for saying so."""
    size_pages = int(Path("/proc/self/statm").read_text().split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (size_pages * resource.getpagesize() + ENOUGH_BYTES,) * 2)
