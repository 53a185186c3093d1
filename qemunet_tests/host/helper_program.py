"""qemu-bridge-helper as a file, and whether starting it brings the privilege it needs.

Five causes all end in "failed to create tun device: Operation not permitted"; this tells them apart.
Sources: qemu-bridge-helper.c, capabilities(7), execve(2), mount(8).
"""

import os
import stat
import struct
from dataclasses import dataclass
from pathlib import Path

from qemunet_tests.host.credentials import CAP_NET_ADMIN, Credentials
from qemunet_tests.host.files import MACHINE, under
from qemunet_tests.host.obstacle import Obstacle
from qemunet_tests.host.package_manager import install_command
from qemunet_tests.host.system import HostSystem

#: Where distributions and source builds put it, for when no QEMU says which it uses.
KNOWN_PATHS = (
    "/usr/lib/qemu/qemu-bridge-helper",  # Debian, Ubuntu, Arch, Alpine
    "/usr/libexec/qemu-bridge-helper",  # Fedora, RHEL, SUSE, Gentoo
    "/run/wrappers/bin/qemu-bridge-helper",  # NixOS, the one with the setuid bit
    "/run/current-system/sw/libexec/qemu-bridge-helper",  # NixOS
    "/usr/lib/qemu-bridge-helper",  # older Ubuntu
    "/usr/local/libexec/qemu-bridge-helper",  # QEMU's own installation
)
_CAPABILITY_EFFECTIVE = 1


@dataclass(frozen=True)
class Helper:
    """`path` is the one this QEMU starts; `elsewhere` are helpers found at other known places, `able` those of them
    that are setuid root.

    `capability` means CAP_NET_ADMIN is on the file, permitted and effective.
    """

    path: str
    exists: bool
    executable: bool = False
    mode: int = 0
    uid: int = 0
    gid: int = 0
    capability: bool = False
    nosuid_mount: bool = False
    elsewhere: tuple[str, ...] = ()
    able: tuple[str, ...] = ()


def read(path: str | None, root: Path = MACHINE) -> Helper:
    """The helper at `path`, or at the first known place that has one when no QEMU names a path."""
    present = tuple(known for known in KNOWN_PATHS if under(root, known).is_file())
    path = path or next(iter(present), KNOWN_PATHS[0])
    place = under(root, path)
    elsewhere = tuple(known for known in present if known != path)
    able = tuple(known for known in elsewhere if _is_setuid_root(under(root, known)))
    try:
        found = place.stat()
    except OSError:
        return Helper(path, exists=False, elsewhere=elsewhere, able=able)
    return Helper(
        path,
        exists=True,
        executable=os.access(place, os.X_OK),
        mode=stat.S_IMODE(found.st_mode),
        uid=found.st_uid,
        gid=found.st_gid,
        capability=_has_capability(place),
        nosuid_mount=bool(os.statvfs(place).f_flag & os.ST_NOSUID),
        elsewhere=elsewhere,
        able=able,
    )


def _is_setuid_root(place: Path) -> bool:
    found = place.stat()
    return found.st_uid == 0 and bool(found.st_mode & stat.S_ISUID)


def _has_capability(place: Path) -> bool:
    try:
        attribute = os.getxattr(place, "security.capability")
    except OSError:
        return False
    if len(attribute) < 8:
        return False
    flags, permitted = struct.unpack_from("<II", attribute)
    return bool(flags & _CAPABILITY_EFFECTIVE and permitted >> CAP_NET_ADMIN & 1)


def missing(helper: Helper, machine: HostSystem, credentials: Credentials) -> Obstacle | None:
    """Why the helper cannot even be started. QEMU then says `bridge helper failed` and nothing else."""
    if not helper.exists and helper.elsewhere:
        other = (*helper.able, *helper.elsewhere)[0]
        return Obstacle(
            f"QEMU looks for its bridge helper at {helper.path}, but it is at {other}",
            f"pass -netdev bridge,br=br0,helper={other}",
        )
    if not helper.exists:
        return Obstacle(f"there is no {helper.path}", install_command("bridge-helper", machine, credentials.sudo))
    if not helper.executable:
        return Obstacle(
            f"{helper.path} may not be executed by this user (mode {helper.mode:04o}, group {helper.gid})",
            f"{credentials.sudo}chmod {helper.mode | 0o111:04o} {helper.path}, or add the user to that group",
        )
    return None


def unprivileged(helper: Helper, credentials: Credentials, machine: HostSystem) -> Obstacle | None:
    """Why the helper would run without CAP_NET_ADMIN over this network, or None where it would have it."""
    if credentials.network_is_ours is False:
        return Obstacle(
            "this process is in a user namespace, whose privileges mean nothing to the machine's network",
            "run outside the user namespace",
        )
    if credentials.hands_on(CAP_NET_ADMIN):
        return None
    return _ungranted(helper, credentials, machine)


def _ungranted(helper: Helper, credentials: Credentials, machine: HostSystem) -> Obstacle | None:
    sudo = credentials.sudo
    if not credentials.may_gain(CAP_NET_ADMIN):
        where = f"the container ({machine.container})" if machine.container else "what started this process"
        return Obstacle(
            f"{where} took CAP_NET_ADMIN away for good, so that no helper can have it",
            "start the container with --cap-add NET_ADMIN",
        )
    grants = _grants(helper)
    if not grants:
        return _grants_nothing(helper, sudo, machine)
    if credentials.no_new_privileges:
        return Obstacle(
            f"no_new_privs is set on this process: the kernel ignores the {grants} of {helper.path}",
            "drop NoNewPrivileges= from the unit or --security-opt no-new-privileges from the container, "
            "or give the unit AmbientCapabilities=CAP_NET_ADMIN",
        )
    if helper.nosuid_mount:
        return Obstacle(
            f"{helper.path} is on a filesystem mounted nosuid, which makes the kernel ignore its {grants}",
            f"{sudo}mount -o remount,suid $(findmnt -no TARGET -T {helper.path})",
        )
    return None


def _grants(helper: Helper) -> str | None:
    if helper.mode & stat.S_ISUID and helper.uid == 0:
        return "setuid bit"
    return "file capability" if helper.capability else None


def _grants_nothing(helper: Helper, sudo: str, machine: HostSystem) -> Obstacle:
    if helper.mode & stat.S_ISUID:
        return Obstacle(
            f"{helper.path} is setuid, but to user {helper.uid} instead of root",
            f"{sudo}chown root:root {helper.path} && {sudo}chmod 4755 {helper.path}",
        )
    return Obstacle(
        f"{helper.path} is neither setuid root nor has it CAP_NET_ADMIN (mode {helper.mode:04o})",
        _give_privilege(helper, sudo, machine),
    )


def _give_privilege(helper: Helper, sudo: str, machine: HostSystem) -> str:
    if helper.able:
        return f"pass -netdev bridge,br=br0,helper={helper.able[0]}, which is setuid root"
    if helper.path.startswith("/nix/store/") or "nixos" in machine.families:
        # Nothing in the store can be setuid.
        return (
            "in configuration.nix: security.wrappers.qemu-bridge-helper = { setuid = true; owner = group = "
            '"root"; source = "${pkgs.qemu}/libexec/qemu-bridge-helper"; }; then pass '
            "helper=/run/wrappers/bin/qemu-bridge-helper"
        )
    if "debian" in machine.families:
        # Survives the next upgrade of the package, which chmod does not.
        return f"{sudo}dpkg-statoverride --update --add root root 4755 {helper.path}"
    return f"{sudo}chown root:root {helper.path} && {sudo}chmod 4755 {helper.path}"
