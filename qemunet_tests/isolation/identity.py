"""Who a guest's QEMU runs as: an ordinary user without capabilities, as the documentation assumes."""

import os
import pwd
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from qemunet_tests.errors import UsageError

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

    @property
    def named(self) -> bool:
        """Whether the system knows a name; an id that a container was started with often has none."""
        try:
            pwd.getpwuid(self.uid)
        except KeyError:
            return False
        return True

    def owns(self, folder: Path) -> None:
        """Give `folder` to this user, where the caller may give things away."""
        if os.geteuid() == 0:
            os.chown(folder, self.uid, self.gid)

    def may_read(self, file: Path) -> bool:
        """Whether the mode of a file lets this user read it; a file that is not there keeps nobody out."""
        try:
            found = file.stat()
        except FileNotFoundError:
            return True
        except OSError:
            return False
        if self.uid in (0, found.st_uid):
            return self.uid == 0 or bool(found.st_mode & 0o400)
        return bool(found.st_mode & (0o040 if found.st_gid in (self.gid, *self.groups) else 0o004))

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
    uid, gid = _ordinary("SUDO_UID"), _ordinary("SUDO_GID")
    # Root may have become root by sudo, too.
    return Identity(uid, gid, _device_groups()) if uid and gid else Identity(NOBODY_ID, NOBODY_ID, _device_groups())


def on_the_host(user: str | None) -> Identity:
    """The user that guests of the real host run as: the one named, else as `unprivileged` says, with all his groups.

    Raises UsageError for a user who does not exist, or whom the caller cannot become.
    """
    if user is None and "SUDO_USER" not in os.environ:
        return unprivileged()
    try:
        entry = pwd.getpwnam(user) if user else pwd.getpwuid(unprivileged().uid)
    except KeyError:
        if user is None:
            return unprivileged()
        raise UsageError(f"--as: there is no user {user!r}") from None
    if os.geteuid() not in (0, entry.pw_uid):
        raise UsageError(f"--as {user}: only root can run guests as somebody else")
    groups = os.getgrouplist(entry.pw_name, entry.pw_gid)
    return Identity(entry.pw_uid, entry.pw_gid, tuple(sorted({*groups} - {entry.pw_gid})))


def _ordinary(variable: str) -> int | None:
    """The id in an environment variable, if it is not root's."""
    text = os.environ.get(variable, "")
    return int(text) or None if text.isdecimal() else None


def _device_groups() -> tuple[int, ...]:
    # What an administrator gives a user who is to run guests: the group of the KVM device.
    device = Path("/dev/kvm")
    return (device.stat().st_gid,) if device.exists() and device.stat().st_gid != 0 else ()
