"""Which machine this is, so that what was found on several can lie side by side."""

import hashlib
import socket
from pathlib import Path

from qemunet_tests.host.files import MACHINE, read_text


def digest_of_machine(purpose: str, root: Path = MACHINE) -> bytes:
    """Tells this machine from others without telling which it is, differently for each purpose; 32 bytes.

    The id itself is not to be given away: machine-id(5). Where a machine has none, its name has to do.
    """
    known = read_text(root, "/etc/machine-id") or read_text(root, "/var/lib/dbus/machine-id") or machine_name()
    return hashlib.sha256(f"{purpose} {known}".encode()).digest()


def machine_id() -> str:
    """The same in 16 hexadecimal digits."""
    return digest_of_machine("qemunet").hex()[:16]


def machine_name() -> str:
    """What the machine is called."""
    return socket.gethostname()
