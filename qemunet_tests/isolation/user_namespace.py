"""The user namespace in which somebody who is not privileged may make all the others.

He makes it himself where the kernel lets him. Ubuntu's AppArmor does not: either nobody without CAP_SYS_ADMIN makes
one, or he does and has no capability in it. There sudo, where it asks for no password, lends that capability to
unshare(1) alone, which runs as the user already: so the namespace is his, and he may enter it, where he is privileged,
and is nowhere else.
"""

import os
import select
import shutil
import subprocess
from pathlib import Path

from qemunet_tests.errors import HarnessError, Unavailable
from qemunet_tests.host import credentials, system
from qemunet_tests.isolation import user_namespaces
from qemunet_tests.isolation.subordinate_ids import IdMapper
from qemunet_tests.isolation.syscalls import CLONE_NEWUSER, pass_on_capabilities, setns, unshare
from qemunet_tests.isolation.user_namespaces import NamespaceAttempt

#: sudo may have to ask a directory on the network about the user.
SUDO_SECONDS = 20.0
#: Says which process it is, and ends with its standard input.
_HOLDER = ("sh", "-c", "echo $$; read -r _")


def enter() -> None:
    """Move this process into a user namespace in which it keeps its id and has every capability.

    Must come before any thread exists. Raises Unavailable where the kernel forbids it.
    """
    # A child tries, because nobody comes back from a user namespace in which everything is forbidden.
    tried = user_namespaces.attempt()
    if tried.failed_stage is not None:
        if tried.failed_stage == user_namespaces.COVERED or not _enter_by_sudo():
            raise forbidden(tried)
        pass_on_capabilities()
        return
    try:
        with IdMapper(os.getpid()) as mapper:
            uid, gid = os.getuid(), os.getgid()
            unshare(CLONE_NEWUSER)
            _map_ids("self", uid, gid, mapper)
    except OSError as error:
        raise forbidden(NamespaceAttempt("user namespace", error.errno or 0)) from error
    pass_on_capabilities()


def forbidden(tried: NamespaceAttempt) -> Unavailable:
    """Which setting keeps this user from making namespaces, and how root would allow it."""
    why = user_namespaces.obstacle(tried, credentials.read(), system.read())
    if why is None:
        return Unavailable(f"{tried.failed_stage} failed: {os.strerror(tried.error)}", "run as root")
    return why.unavailable()


def _map_ids(process: int | str, uid: int, gid: int, mapper: IdMapper) -> None:
    if uid == 0:
        if not mapper.maps():
            raise Unavailable(
                "root has no other user here that QEMU could run as",
                "be an ordinary user in the container: --user 1000",
            )
        return
    folder = Path(f"/proc/{process}")
    (folder / "setgroups").write_text("deny")
    if not mapper.maps():
        (folder / "uid_map").write_text(f"{uid} {uid} 1")
    (folder / "gid_map").write_text(f"{gid} {gid} 1")


def _enter_by_sudo() -> bool:
    """Whether sudo could be had, and what it made could be entered."""
    if os.geteuid() == 0 or not shutil.which("sudo"):
        return False
    # It keeps the namespace alive until we are in.
    holder = subprocess.Popen(
        ["sudo", "-n", "--", *_as_ourselves_with_one_capability(), "unshare", "--user", "--", *_HOLDER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    try:
        pid = _first_line(holder)
        if not pid.isdigit():
            return False
        with IdMapper(int(pid)) as mapper:
            _map_ids(int(pid), os.getuid(), os.getgid(), mapper)
        namespace = os.open(f"/proc/{int(pid)}/ns/user", os.O_RDONLY)
        try:
            setns(namespace, CLONE_NEWUSER)
        finally:
            os.close(namespace)
    except OSError:
        return False
    finally:
        _end(holder)
    return True


def _end(holder: subprocess.Popen[bytes]) -> None:
    try:
        holder.communicate(timeout=SUDO_SECONDS)
    except subprocess.TimeoutExpired as late:
        raise HarnessError(f"gave up after {SUDO_SECONDS:.0f} s waiting for the end of sudo") from late


def _as_ourselves_with_one_capability() -> list[str]:
    capabilities = "-all,+sys_admin"
    return [
        "setpriv", f"--reuid={os.getuid()}", f"--regid={os.getgid()}", "--clear-groups",
        f"--inh-caps={capabilities}", f"--ambient-caps={capabilities}", "--",
    ]  # fmt: skip


def _first_line(process: subprocess.Popen[bytes]) -> str:
    """Empty where it ends, or takes too long, without a word."""
    if process.stdout is None or not select.select([process.stdout], [], [], SUDO_SECONDS)[0]:
        return ""
    return process.stdout.readline().decode().strip()
