"""The host's folder that QEMU's `smb=` serves, seen from a guest."""

from qemunet_tests.harness.guest import Guest

MOUNT_POINT = "/mnt"
#: SMB 3 wants crypto modules that take a guest's memory and time.
OPTIONS = "ip=10.0.2.4,username=guest,password=,vers=2.1"
KILLED = 137


def mount(guest: Guest, server: str, wait_seconds: int = 15) -> str:
    """Mount the share, whose server the first connection starts. Empty, or what went wrong.

    Nobody should have to wait longer: where smbd waits for a resolver it is minutes.
    """
    mounting = f"timeout -s KILL {wait_seconds} mount -t cifs -o {OPTIONS} //{server}/qemu {MOUNT_POINT}"
    ended = guest.run(f"mkdir -p {MOUNT_POINT}; {mounting}", within_seconds=wait_seconds + 5)
    if ended.status == KILLED:
        return f"the server does not get ready within {wait_seconds} s"
    return "" if ended.succeeded else ended.complaint or f"mount ended with status {ended.status}"
