"""The host's folder that QEMU's `smb=` serves, seen from a guest."""

from qemunet_tests.harness.guest import Guest
from qemunet_tests.harness.processes import Completed

MOUNT_POINT = "/mnt"
#: SMB 3 wants crypto modules that take a guest's memory and time.
OPTIONS = "ip=10.0.2.4,username=guest,password=,vers=2.1"


def mount(guest: Guest, server: str = "10.0.2.4", within_seconds: float = 8.0) -> Completed:
    """Mount the share; the server is started by the first connection."""
    command = f"mkdir -p {MOUNT_POINT} && mount -t cifs -o {OPTIONS} //{server}/qemu {MOUNT_POINT}"
    return guest.run(command, within_seconds)
