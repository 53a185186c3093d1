"""Which users and groups may write to a file besides its owner: by its mode, or by an access control list.

Where there is a list, acl(5), the mode's bits of the group are its mask: the most that anybody has whom it names, and
that the file's group has.
"""

import errno
import os
import stat
import struct
from pathlib import Path

_ACCESS, _DEFAULT = "system.posix_acl_access", "system.posix_acl_default"
#: <linux/posix_acl_xattr.h>: a version, then entries of a tag, what is allowed, and a uid or gid.
_HEADER, _ENTRY = struct.Struct("<I"), struct.Struct("<HHI")
_USER, _GROUP_OF_FILE, _GROUP = 0x02, 0x04, 0x08
_WRITE = 0o2
#: There is no list, or the file system keeps none.
_NO_LIST = (errno.ENODATA, errno.ENOTSUP)


def writers(at: int | Path, found: os.stat_result) -> tuple[set[int], set[int]]:
    """Their uids and gids; of what a descriptor has open, or what has a name, and of which `found` was learned.

    Raises OSError.
    """
    if not found.st_mode & stat.S_IWGRP:
        return set(), set()
    allowed = [(tag, number) for tag, permitted, number in _entries(at) if permitted & _WRITE]
    users = {number for tag, number in allowed if tag == _USER}
    groups = {number for tag, number in allowed if tag == _GROUP}
    return users, groups | {found.st_gid for tag, _ in allowed if tag == _GROUP_OF_FILE}


def give_none(folder: Path) -> None:
    """Have what is made in `folder` get no list from it, which would count instead of the umask. Raises OSError."""
    try:
        os.removexattr(folder, _DEFAULT)
    except OSError as refused:
        if refused.errno not in _NO_LIST:
            raise


def _entries(at: int | Path) -> list[tuple[int, int, int]]:
    try:
        # What is open is no link, and Python takes no other word for it.
        content = os.getxattr(at, _ACCESS, follow_symlinks=isinstance(at, int))
    except OSError as refused:
        if refused.errno not in _NO_LIST:
            raise
        return [(_GROUP_OF_FILE, _WRITE, 0)]
    return list(_ENTRY.iter_unpack(content[_HEADER.size :]))
