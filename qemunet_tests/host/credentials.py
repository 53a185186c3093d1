"""Who a process is to the kernel: ids, groups, capabilities, and what it may still gain.

Sources: proc(5), capabilities(7), user_namespaces(7).
"""

import fcntl
import os
from dataclasses import dataclass
from pathlib import Path

from qemunet_tests.host.files import MACHINE, read_text

CAP_NET_ADMIN = 12
CAP_NET_RAW = 13
CAP_SYS_ADMIN = 21
SECCOMP_FILTER = 2
#: The first line of uid_map where no user namespace was entered.
ALL_IDS = ["0", "0", "4294967295"]
_NS_GET_USERNS = 0xB701
#: Numbers of capability.h; others than these are shown as numbers.
_NAMES = {10: "net_bind_service", CAP_NET_ADMIN: "net_admin", CAP_NET_RAW: "net_raw", CAP_SYS_ADMIN: "sys_admin"}


@dataclass(frozen=True)
class Credentials:
    """Ids and capability sets (bit masks) as /proc/self/status shows them.

    `network_is_ours` is false where the network namespace belongs to a user namespace outside ours, so that
    capabilities held here are worth nothing to it; None where the kernel would not say.
    """

    uid: int
    effective_uid: int
    gid: int
    effective_gid: int
    groups: tuple[int, ...]
    permitted: int
    effective: int
    bounding: int
    ambient: int
    no_new_privileges: bool
    system_calls_filtered: bool
    in_user_namespace: bool
    network_is_ours: bool | None = True

    def __str__(self) -> str:
        held = ", ".join(_NAMES.get(number, str(number)) for number in range(64) if self._usable >> number & 1)
        return f"QEMU runs as user {self.effective_uid} with {held or 'no capability'}"

    @property
    def _usable(self) -> int:
        """What it has or could take up."""
        return self.effective | self.permitted

    @property
    def ordinary(self) -> bool:
        """Whether this is an ordinary user without any capability."""
        return self.effective_uid != 0 and not self._usable

    def may_take_up(self, capability: int) -> bool:
        """Whether the process holds the capability, or would have it for the asking."""
        return bool(self._usable >> capability & 1)

    def may(self, capability: int) -> bool:
        """Whether this process holds the capability now."""
        return bool(self.effective >> capability & 1)

    def may_gain(self, capability: int) -> bool:
        """Whether the bounding set still leaves the capability to a program that is started."""
        return bool(self.bounding >> capability & 1)

    def hands_on(self, capability: int) -> bool:
        """Whether an ordinary program that this process starts has the capability."""
        if self.effective_uid != 0:
            return bool(self.ambient >> capability & 1)
        regained = self.may_gain(capability) and not self.no_new_privileges
        return regained or bool(self.permitted & self.bounding & 1 << capability)

    @property
    def all_groups(self) -> frozenset[int]:
        return frozenset((self.effective_gid, *self.groups))

    @property
    def sudo(self) -> str:
        """What to write before a command that root must run."""
        return "" if self.uid == 0 else "sudo "


def read(root: Path = MACHINE, pid: int | None = None) -> Credentials:
    """Those of this process, or of another.

    What the file does not say is taken from this process itself. Raises OSError where the other is gone.
    """
    folder = "/proc/self" if pid is None else f"/proc/{pid}"
    said = read_text(root, f"{folder}/status")
    if said is None and pid is not None:
        raise ProcessLookupError(f"process {pid} is gone")
    status = _fields(said or "")
    uids = _numbers(status, "Uid") or [os.getuid(), os.geteuid()]
    gids = _numbers(status, "Gid") or [os.getgid(), os.getegid()]
    identity_map = (read_text(root, f"{folder}/uid_map") or " ".join(ALL_IDS)).split()
    return Credentials(
        uid=uids[0],
        effective_uid=uids[1],
        gid=gids[0],
        effective_gid=gids[1],
        groups=tuple(_numbers(status, "Groups")),
        permitted=_mask(status, "CapPrm"),
        effective=_mask(status, "CapEff"),
        bounding=_mask(status, "CapBnd"),
        ambient=_mask(status, "CapAmb"),
        no_new_privileges=status.get("NoNewPrivs") == "1",
        system_calls_filtered=status.get("Seccomp") == str(SECCOMP_FILTER),
        in_user_namespace=identity_map != ALL_IDS,
        network_is_ours=_network_is_ours() if root == MACHINE and pid is None else True,
    )


def is_known(uid: int, root: Path = MACHINE) -> bool:
    """Whether our user namespace has a user of this id: uid_map of user_namespaces(7)."""
    lines = (read_text(root, "/proc/self/uid_map") or " ".join(ALL_IDS)).splitlines()
    ranges = [(int(first), int(count)) for first, _, count in map(str.split, lines)]
    return any(first <= uid < first + count for first, count in ranges)


def _fields(status: str) -> dict[str, str]:
    pairs = (line.partition(":") for line in status.splitlines())
    return {name: value.strip() for name, _, value in pairs}


def _numbers(status: dict[str, str], field: str) -> list[int]:
    return [int(word) for word in status.get(field, "").split()]


def _mask(status: dict[str, str], field: str) -> int:
    return int(status.get(field, "0"), 16)


def _network_is_ours() -> bool | None:
    try:
        network = os.open("/proc/self/ns/net", os.O_RDONLY)
    except OSError:
        return None
    try:
        os.close(fcntl.ioctl(network, _NS_GET_USERNS))
    except PermissionError:
        return False
    except OSError:
        return None
    finally:
        os.close(network)
    return True
