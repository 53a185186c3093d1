"""The host's folder that QEMU's `smb=` serves, seen from a guest."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from qemunet_tests.guest.guest import Guest
from qemunet_tests.isolation.folder import opened
from qemunet_tests.qemu.command_line import QemuProcess
from qemunet_tests.qemu.launcher import OWN
from qemunet_tests.timeouts import turns, whole

MOUNT_POINT = "/mnt"
#: SMB 3 wants crypto modules that take a guest's memory and time.
OPTIONS = "ip=10.0.2.4,username=guest,password=,vers=2.1"
KILLED = 137


def mount(guest: Guest, server: str, wait_seconds: int = 15) -> str:
    """Mount the share, whose server the first connection starts. Empty, or what went wrong.

    Nobody should have to wait longer: where smbd waits for a resolver it is minutes. On a busy machine it is tried
    again for as much longer as that is slower.
    """
    trouble = ""
    # In software this alone takes seconds, and is no part of what the server takes.
    guest.run("modprobe cifs", within_seconds=30)
    for patience_seconds in turns(wait_seconds):
        trouble = _mount(guest, server, whole(patience_seconds))
        if not trouble:
            break
    return trouble


def _mount(guest: Guest, server: str, wait_seconds: int) -> str:
    mounting = f"timeout -s KILL {wait_seconds} mount -t cifs -o {OPTIONS} //{server}/qemu {MOUNT_POINT}"
    ended = guest.run(f"mkdir -p {MOUNT_POINT}; {mounting}", within_seconds=wait_seconds + 5)
    if ended.status == KILLED:
        return f"the server does not get ready within {wait_seconds} s"
    return "" if ended.succeeded else ended.complaint or f"mount ended with status {ended.status}"


@dataclass(frozen=True)
class Content:
    """What is in a file: how much, and its MD5 in hexadecimal digits."""

    size_bytes: int
    digest: str

    @classmethod
    def of(cls, content: bytes) -> "Content":
        return cls(len(content), hashlib.md5(content, usedforsecurity=False).hexdigest())


def content_in(guest: Guest, path: str) -> Content:
    """What a guest reads in a file. What cannot be read to its end is something else, and no error."""
    words = guest.run(f"cat {path} > /tmp/read; wc -c < /tmp/read; md5sum < /tmp/read", within_seconds=60).text.split()
    return Content(int(words[0]), words[1])


def left_of_servers(qemu: QemuProcess) -> list[str]:
    """The folders that a QEMU has made for its SMB servers, and that are there still."""
    return sorted(path.name for path in (qemu.folder / OWN).glob("qemu-smb.*"))


def arrived_in(shared: Path, name: str) -> bytes | None:
    """What a guest has written into the host's folder, None where that is no regular file.

    The server that wrote it runs as somebody else, who might have put a link there.
    """
    try:
        with opened(shared) as folder:
            return folder.read(name)
    except OSError:
        return None
