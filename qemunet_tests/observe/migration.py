"""Moving what a QEMU keeps to another QEMU, over a socket, as management tools do."""

import re
from typing import TYPE_CHECKING

from qemunet_tests.deadline import Deadline
from qemunet_tests.errors import HarnessError
from qemunet_tests.qemu.launcher import OWN

if TYPE_CHECKING:
    from qemunet_tests.guest.peer import Peer
    from qemunet_tests.qemu.command_line import QemuProcess
    from qemunet_tests.qemu.qmp import Monitor

MOVING_SECONDS, ENDING_SECONDS = 20.0, 3.0
#: What QEMU calls the state of user networking, and names where it cannot read it.
SLIRP = re.compile(r"\bslirp\b")


class StateRefused(AssertionError):
    """A QEMU has ended over what another had kept of its user network. Like a test's assertions this says `broken`."""

    def __init__(self, said: str) -> None:
        super().__init__(f"the other QEMU refuses what was saved: {said}")


def migrated(here: "Peer", there: "Peer") -> None:
    """Move the state of one peer's QEMU to that of another, which was started with `-incoming defer`, and lets it run.

    Raises StateRefused, HarnessError where that fails otherwise, TimedOut.
    """
    if here.qemu is None or there.qemu is None:
        raise HarnessError("a peer without QEMU cannot be moved")
    try:
        _move(here.qemu, there.qemu)
    except HarnessError:
        # The one that gave its state is well, or else the other may have got half of it.
        if (said := _refusal(there.qemu)) and not here.qemu.how_it_ended():
            raise StateRefused(said) from None
        raise


def _move(here: "QemuProcess", there: "QemuProcess") -> None:
    place = f"unix:{there.folder / OWN / 'moving'}"
    there.monitor.execute("migrate-incoming", uri=place)
    here.monitor.execute("migrate", uri=place)
    Deadline(MOVING_SECONDS, "the state to be moved").wait_until(lambda: _is_over(here.monitor))
    if not there.monitor.execute("query-status")["running"]:
        there.monitor.execute("cont")


def _refusal(there: "QemuProcess") -> str:
    """What a QEMU that has ended says of the state of user networking; empty where it says nothing, or goes on."""
    Deadline(ENDING_SECONDS, "QEMU to end").sees(there.how_it_ended)
    lines = there.said.splitlines() if there.how_it_ended() else []
    return next((line for line in lines if SLIRP.search(line)), "")


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
