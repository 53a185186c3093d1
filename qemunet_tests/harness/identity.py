"""Who a guest's QEMU runs as: an ordinary user without capabilities, as the documentation assumes."""

import os
import pwd
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

#: Runs as root are run as the user who called sudo, else as this one, which every Linux has.
NOBODY_ID = 65534


@dataclass(frozen=True)
class Identity:
    """A user id, a group id and further groups."""

    uid: int
    gid: int
    groups: tuple[int, ...] = ()

    @property
    def name(self) -> str:
        """The user's name, or the number where the system knows no name."""
        try:
            return pwd.getpwuid(self.uid).pw_name
        except KeyError:
            return str(self.uid)

    def owns(self, folder: Path) -> None:
        """Give `folder` to this user, where the caller may give things away."""
        if os.geteuid() == 0:
            os.chown(folder, self.uid, self.gid)

    def prefix(self, capabilities: Collection[str] = ()) -> list[str]:
        """The command words that make what follows run as this user with these capabilities and no others.

        Capabilities are named as setpriv(1) names them, for instance `net_raw`.
        """
        kept = ",".join(["-all", *(f"+{capability}" for capability in sorted(capabilities))])
        words = ["setpriv", f"--inh-caps={kept}", f"--ambient-caps={kept}"]
        if os.geteuid() == 0 and self.uid != 0:
            words += [f"--reuid={self.uid}", f"--regid={self.gid}"]
            words += [f"--groups={','.join(map(str, self.groups))}"] if self.groups else ["--clear-groups"]
        return [*words, "--"]


def unprivileged() -> Identity:
    """The user that guests run as: the caller himself, or for root whoever became root, else nobody."""
    if os.geteuid() != 0:
        return Identity(os.geteuid(), os.getegid())
    uid = int(os.environ.get("SUDO_UID", NOBODY_ID))
    gid = int(os.environ.get("SUDO_GID", NOBODY_ID))
    return Identity(uid, gid, _device_groups())


def _device_groups() -> tuple[int, ...]:
    # What an administrator gives a user who is to run guests: the group of the KVM device.
    device = Path("/dev/kvm")
    return (device.stat().st_gid,) if device.exists() and device.stat().st_gid != 0 else ()
