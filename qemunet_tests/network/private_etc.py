"""The lab's own /etc and /sys: its resolver, its names, its helper's access list; the machine's are untouched."""

import socket
from pathlib import Path

from qemunet_tests.isolation.namespaces import SCRATCH
from qemunet_tests.isolation.syscalls import MS_BIND, MS_RDONLY, MS_REC, mount
from qemunet_tests.network import lab_addresses

ETC = Path("/etc")


def mount_private_etc() -> None:
    """Mount a private /etc, the machine's except where the lab says otherwise, and a /sys that shows the lab.

    /etc is a folder of links because an ordinary user may not make files in the machine's, and /etc/qemu need
    not exist there.
    """
    machine = SCRATCH / "machine-etc"
    machine.mkdir()
    mount(str(ETC), str(machine), None, MS_BIND | MS_REC)
    names = [entry.name for entry in machine.iterdir()]
    mount("qemunet-etc", str(ETC), "tmpfs", 0, "mode=0755")
    for name in names:
        (ETC / name).symlink_to(machine / name)
    replace("resolv.conf", f"nameserver {lab_addresses.ROUTER}\nsearch {lab_addresses.DOMAIN}\n")
    replace("hosts", f"127.0.0.1 localhost {socket.gethostname()}\n{lab_addresses.HOST} host.home\n")
    allow_bridges(lab_addresses.BRIDGE)
    mount("sysfs", "/sys", "sysfs", MS_RDONLY)


def replace(name: str, text: str) -> Path:
    """Make `/etc/NAME` say `text`, for this run only."""
    path = ETC / name
    if path.parent.is_symlink():
        path.parent.unlink()
    path.parent.mkdir(exist_ok=True)
    path.unlink(missing_ok=True)
    path.write_text(text)
    path.chmod(0o644)
    return path


def remove(name: str) -> None:
    """There is no `/etc/NAME` any more, for this run only."""
    (ETC / name).unlink(missing_ok=True)


def allow_bridges(*names: str) -> Path:
    """Write the bridge helper's access list as people do: a remark, an empty line, and an `allow` line a bridge."""
    return replace(
        "qemu/bridge.conf", "# the bridges that guests may join\n\n" + "".join(f"allow {name}\n" for name in names)
    )
