"""The MAC address of this host's guests: always the same, so that LANs with a list or a small pool bear with us.

Disposable guests with addresses of chance eat a LAN's DHCP pool, and for unknown ones some switches shut the port and
some hosters the host. It is locally administered, and belongs to this host (machine-id(5)) and mode.
"""

import hashlib
import platform
from pathlib import Path

from qemunet_tests.host.files import MACHINE, read_text

#: Locally administered and unicast.
PREFIX = "02:71:6e"


def fixed_mac(mode: str, root: Path = MACHINE) -> str:
    """The address of guests in `mode`, for instance `bridge`."""
    host = read_text(root, "/etc/machine-id") or read_text(root, "/var/lib/dbus/machine-id") or platform.node()
    # The id itself is not to be given away: machine-id(5).
    digest = hashlib.sha256(f"qemunet {mode} {host}".encode()).digest()
    return f"{PREFIX}:{digest[0]:02x}:{digest[1]:02x}:{digest[2]:02x}"
