"""A few lines of Python that a user of a station runs: what becomes of packets may depend on whose they are."""

import os
import shutil
import sys

from qemunet_tests.host.asking import NOT_FOUND, PROGRAM_FOLDERS, Completed
from qemunet_tests.isolation.identity import Identity
from qemunet_tests.isolation.station import Station

#: What setpriv(1), as a shell, says of a program that may not be executed.
NOT_PERMITTED = 126


def run_as(station: Station, identity: Identity, script: str, *arguments: str) -> Completed:
    """The end of a script that uses Python's own library alone. Any status is an answer.

    The Python of PATH, or the one that runs us, may lie where its owner alone may go.
    """
    ended = Completed(NOT_FOUND, b"", b"there is no Python that this user may execute")
    for interpreter in (os.path.realpath(sys.executable), shutil.which("python3", path=PROGRAM_FOLDERS)):
        if interpreter:
            ended = station.ask([*identity.prefix(), interpreter, "-I", "-c", script, *arguments])
        if ended.status not in (NOT_FOUND, NOT_PERMITTED):
            break
    return ended
