"""A program that can reach nobody: run as a module with PROGRAM… it becomes PROGRAM.

It gets a network namespace with nothing in it, by whatever way this user may make one, and keeps the machine's mounts.
"""

import os
import sys
from collections.abc import Sequence

from qemunet_tests.errors import HarnessError, Unavailable
from qemunet_tests.isolation import namespaces, own_python


def words(program: Sequence[str]) -> list[str]:
    """The command line that runs `program` so."""
    return own_python.words(__name__, *program)


def _become(program: list[str]) -> None:
    try:
        namespaces.leave_network()
        os.execvp(program[0], program)
    except Unavailable as why:
        sys.exit(f"{why.reason} ({why.remedy})")
    except (HarnessError, OSError) as error:
        sys.exit(str(error))


if __name__ == "__main__":
    _become(sys.argv[1:])
