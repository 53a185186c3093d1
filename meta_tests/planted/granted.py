"""An access control list, acl(5), by which somebody else may write: as setfacl puts it, which need not be installed."""

import os
import struct
from pathlib import Path

import pytest

_HEADER, _ENTRY = struct.Struct("<I"), struct.Struct("<HHI")
_VERSION, _NOBODY = 2, 0xFFFFFFFF
_OWNER, USER, _GROUP_OF_FILE, GROUP, _MASK, _OTHER = 0x01, 0x02, 0x04, 0x08, 0x10, 0x20
ACCESS, DEFAULT = "system.posix_acl_access", "system.posix_acl_default"


def grant(path: Path, number: int, kind: int = USER, mask: int = 0o7, name: str = ACCESS) -> None:
    """`setfacl -m u:NUMBER:rwx` (or g:, or d:u: where `name` says so); skips the test where no list is kept here."""
    entries = [(_OWNER, 7, _NOBODY), (_GROUP_OF_FILE, 5, _NOBODY), (kind, 7, number), (_MASK, mask, _NOBODY)]
    packed = [_ENTRY.pack(*entry) for entry in sorted([*entries, (_OTHER, 5, _NOBODY)])]
    try:
        os.setxattr(path, name, _HEADER.pack(_VERSION) + b"".join(packed))
    except OSError as refused:
        pytest.skip(f"{path} can have no access control list: {refused.strerror}")
