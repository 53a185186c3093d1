"""The MAC address of this host's guests: always the same, so that LANs with a list or a small pool bear with us.

Disposable guests with addresses of chance eat a LAN's DHCP pool, and for unknown ones some switches shut the port and
some hosters the host. It is locally administered, and belongs to this host (machine-id(5)) and mode.
"""

from pathlib import Path

from qemunet_tests.host.files import MACHINE
from qemunet_tests.host.machine_identity import digest_of_machine

#: Locally administered and unicast.
PREFIX = "02:71:6e"


def fixed_mac(mode: str, root: Path = MACHINE) -> str:
    """The address of guests in `mode`, for instance `bridge`."""
    digest = digest_of_machine(f"qemunet {mode}", root)
    return f"{PREFIX}:{digest[0]:02x}:{digest[1]:02x}:{digest[2]:02x}"
