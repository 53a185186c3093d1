"""How long a guest waits for its network."""

from collections.abc import Callable

from qemunet_tests.harness.deadline import Deadline
from qemunet_tests.harness.guest import Guest
from qemunet_tests.observe.lease import lease


def seconds_to_lease(boot: Callable[[], Guest], within_seconds: float) -> float | None:
    """Seconds from the start of a guest's QEMU, which is when its tap joins the bridge, to its lease.

    `within_seconds` is meant for KVM. None when no lease came.
    """
    watch = Deadline(within_seconds, "a DHCP lease")
    return watch.elapsed_seconds if lease(boot(), within_seconds=within_seconds) else None
