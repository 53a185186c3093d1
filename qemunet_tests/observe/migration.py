"""Moving what a QEMU keeps to another QEMU, over a socket, as management tools do."""

from typing import TYPE_CHECKING

from qemunet_tests.deadline import Deadline
from qemunet_tests.errors import HarnessError
from qemunet_tests.qemu.launcher import OWN

if TYPE_CHECKING:
    from qemunet_tests.guest.peer import Peer
    from qemunet_tests.qemu.command_line import QemuProcess
    from qemunet_tests.qemu.qmp import Monitor

MOVING_SECONDS = 20.0


def migrated(here: "Peer", there: "Peer") -> None:
    """Move the state of one peer's QEMU to that of another, which was started with `-incoming defer`, and lets it run.

    Raises HarnessError where that fails, TimedOut.
    """
    if here.qemu is None or there.qemu is None:
        raise HarnessError("a peer without QEMU cannot be moved")
    place = f"unix:{there.qemu.folder / OWN / 'moving'}"
    source = here.qemu.monitor
    there.qemu.monitor.execute("migrate-incoming", uri=place)
    source.execute("migrate", uri=place)
    Deadline(MOVING_SECONDS, "the state to be moved").wait_until(lambda: _is_over(source))
    if not there.qemu.monitor.execute("query-status")["running"]:
        there.qemu.monitor.execute("cont")


def outcome(here: "QemuProcess", there: "QemuProcess") -> str:
    """What becomes of the state of one QEMU at another that waits for it: `loaded`, or what that says of it as it ends.

    Raises TimedOut.
    """
    place = f"unix:{there.folder / OWN / 'moving'}"
    there.monitor.execute("migrate-incoming", uri=place)
    here.monitor.execute("migrate", uri=place)
    Deadline(MOVING_SECONDS, "the state to be moved").wait_until(lambda: there.how_it_ended() or _has_loaded(there))
    return there.said if there.how_it_ended() else "loaded"


def _has_loaded(there: "QemuProcess") -> bool:
    try:
        return bool(there.monitor.execute("query-migrate").get("status") == "completed")
    except HarnessError:
        # It hangs up before it has ended.
        return False


def _is_over(monitor: "Monitor") -> bool:
    """Raises HarnessError where it has failed."""
    status = monitor.execute("query-migrate").get("status")
    if status == "failed":
        raise HarnessError("QEMU cannot move its state to another QEMU")
    return bool(status == "completed")
