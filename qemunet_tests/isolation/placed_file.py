"""Files of the caller's, copied to where the user that guests run as can read them.

A build lies in a home that is closed to that user, and may be built anew while a run lasts: what a run began with is
what it ends with.
"""

import os
import shutil
from pathlib import Path
from typing import IO

from qemunet_tests import trust
from qemunet_tests.errors import HarnessError
from qemunet_tests.isolation.namespaces import scratch

_FOLDER = "own-builds"


def placed(file: Path, name: str) -> Path:
    """The copy of `file` for everybody to read and execute, as `name`; made once. Raises HarnessError."""
    copy = scratch() / _FOLDER / name
    if copy.exists():
        return copy
    copy.parent.mkdir(exist_ok=True)
    copy.parent.chmod(0o755)
    try:
        with _opened(file) as reading, copy.open("xb") as writing:
            shutil.copyfileobj(reading, writing)
    except OSError as refused:
        copy.unlink(missing_ok=True)
        raise HarnessError(f"{file} can no longer be read: {refused.strerror}") from refused
    copy.chmod(0o755)
    return copy


def _opened(file: Path) -> IO[bytes]:
    # Whatever an ordinary user executes is his own affair.
    return trust.opened(file) if os.geteuid() == 0 else file.open("rb")
