"""Device nodes: there, of the right kind, and open to this process. Only opening tells the last."""

import errno
import grp
import os
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from qemunet_tests.host import system
from qemunet_tests.host.credentials import Credentials
from qemunet_tests.host.credentials import read as read_credentials
from qemunet_tests.host.files import MACHINE, read_text, under
from qemunet_tests.host.obstacle import Obstacle
from qemunet_tests.user_names import user_name

KVM = "/dev/kvm"
TUN = "/dev/net/tun"
VHOST_NET = "/dev/vhost-net"
VHOST_VDPA = "/dev/vhost-vdpa-0"

#: The kernel module behind a node.
MODULES = {KVM: "kvm", TUN: "tun", VHOST_NET: "vhost_net", VHOST_VDPA: "vhost_vdpa"}

#: How a user namespace shows every id that is not mapped into it.
UNMAPPED_ID = 65534

TryOpen = Callable[[Path], int | None]


@dataclass(frozen=True)
class Device:
    """A node as stat(2) shows it, and the errno with which opening it for reading and writing failed."""

    path: str
    exists: bool
    is_character: bool = False
    mode: int = 0
    uid: int = 0
    gid: int = 0
    group: str | None = None
    members: tuple[str, ...] = ()
    open_errno: int | None = None
    nodev: bool = False

    @property
    def opens(self) -> bool:
        return self.exists and self.is_character and self.open_errno is None

    def bits_allow(self, uid: int, groups: frozenset[int]) -> bool:
        """Whether the mode lets this user read and write. Knows nothing of access lists and containers."""
        if uid == 0:
            return True
        if uid == self.uid:
            return self.mode & 0o600 == 0o600
        if self.gid in groups:
            return self.mode & 0o060 == 0o060
        return self.mode & 0o006 == 0o006


def try_open(path: Path) -> int | None:
    """None when the node opens for reading and writing, else the errno."""
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NONBLOCK))
    except OSError as refused:
        return refused.errno
    return None


def read(path: str, root: Path = MACHINE, opening: TryOpen = try_open) -> Device:
    """The node at `path` as this process finds it."""
    place = under(root, path)
    try:
        found = place.stat()
    except FileNotFoundError:
        return Device(path, exists=False, open_errno=errno.ENOENT)
    except OSError as refused:
        return Device(path, exists=False, open_errno=refused.errno)
    group, members = _group(root, found.st_gid)
    return Device(
        path,
        exists=True,
        is_character=stat.S_ISCHR(found.st_mode),
        mode=stat.S_IMODE(found.st_mode),
        uid=found.st_uid,
        gid=found.st_gid,
        group=group,
        members=members,
        open_errno=opening(place),
        nodev=bool(os.statvfs(place).f_flag & os.ST_NODEV),
    )


def obstacle(device: Device, credentials: Credentials, user: str, container: str | None) -> Obstacle | None:
    """Why this process cannot use the node, or None where it can."""
    if device.opens:
        return None
    if not device.exists:
        return _missing(device, credentials, container)
    if not device.is_character:
        return Obstacle(
            f"{device.path} is not a device node",
            f"{credentials.sudo}rm {device.path}, then load the kernel module",
        )
    if device.open_errno == errno.EACCES:
        return _no_permission(device, credentials, user, container)
    return _refused(device, credentials)


def obstacle_here(path: str, device: Device | None = None) -> Obstacle | None:
    """The same, of a node of this machine, as it is found, and this process."""
    ours = read_credentials()
    return obstacle(device or read(path), ours, user_name(ours.uid), system.read().container)


def _refused(device: Device, credentials: Credentials) -> Obstacle:
    match device.open_errno:
        case errno.EPERM:
            return Obstacle(
                f"{device.path} is there but the device rules of the container forbid it",
                f"start the container with --device {device.path}",
            )
        case errno.ENODEV | errno.ENXIO:
            return Obstacle(
                f"{device.path} is there but no driver is behind it",
                f"{credentials.sudo}modprobe {MODULES[device.path]}; after a kernel upgrade: reboot",
            )
        case number:
            return Obstacle(
                f"{device.path} cannot be opened: {os.strerror(number or 0)}", f"look at ls -l {device.path}"
            )


def _missing(device: Device, credentials: Credentials, container: str | None) -> Obstacle:
    if container is not None:
        more = " --cap-add NET_ADMIN" if device.path == TUN else ""
        return Obstacle(
            f"the container ({container}) has no {device.path}",
            f"start the container with --device {device.path}{more}",
        )
    return Obstacle(f"there is no {device.path}", f"{credentials.sudo}modprobe {MODULES[device.path]}")


def _no_permission(device: Device, credentials: Credentials, user: str, container: str | None) -> Obstacle:
    mode = f"mode {device.mode:04o}, group {device.group or device.gid}"
    if credentials.in_user_namespace and device.gid == UNMAPPED_ID:
        return Obstacle(
            f"{device.path} belongs to a group that this user namespace does not know",
            "run outside the user namespace; a rootless container needs --group-add keep-groups",
        )
    beyond_the_mode = _closed_in_spite_of_its_mode(device, credentials, user, mode)
    if beyond_the_mode is not None:
        return beyond_the_mode
    group_is_enough = device.mode & 0o060 == 0o060 and device.gid != 0
    if group_is_enough and user in device.members:
        return Obstacle(
            f"{user} was added to the group {device.group} of {device.path} after logging in",
            f"log in again, or run: newgrp {device.group}",
        )
    if group_is_enough and device.group is None and container is not None:
        return Obstacle(
            f"{device.path} belongs to group {device.gid}, which {user} is not in inside the container",
            f"start the container with --group-add {device.gid}",
        )
    if group_is_enough and device.group is not None:
        return Obstacle(
            f"{user} may not open {device.path} ({mode})",
            f"{credentials.sudo}usermod -aG {device.group} {user}, then log in again",
        )
    reason = f"{user} may not open {device.path} ({mode})"
    return Obstacle(reason, f"{credentials.sudo}chmod 0666 {device.path}")


def _closed_in_spite_of_its_mode(device: Device, credentials: Credentials, user: str, mode: str) -> Obstacle | None:
    if device.nodev:
        return Obstacle(
            f"{device.path} is on a filesystem mounted nodev, where no device opens",
            f"{credentials.sudo}mount -o remount,dev $(findmnt -no TARGET -T {device.path})",
        )
    if not credentials.in_user_namespace and device.bits_allow(credentials.effective_uid, credentials.all_groups):
        return Obstacle(
            f"{user} may not open {device.path} though its mode allows it ({mode}): an access list or a security "
            "module forbids it",
            f"look at getfacl {device.path} and {credentials.sudo}dmesg",
        )
    return None


def _group(root: Path, gid: int) -> tuple[str | None, tuple[str, ...]]:
    for line in (read_text(root, "/etc/group") or "").splitlines():
        name, _, rest = line.partition(":")
        words = rest.split(":")
        if words[1:2] == [str(gid)]:
            return name, tuple(filter(None, words[2].split(","))) if len(words) > 2 else ()
    if root != MACHINE:
        return None, ()
    try:
        entry = grp.getgrgid(gid)
    except KeyError:
        return None, ()
    return entry.gr_name, tuple(entry.gr_mem)
