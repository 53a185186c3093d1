"""A program that can reach nobody: `python -m qemunet_tests.harness.cut_off PROGRAM…` becomes PROGRAM.

It gets a network namespace with nothing in it, by whatever way this user may make one, and keeps the machine's mounts.
"""

import os
import sys
from collections.abc import Sequence

from qemunet_tests.harness import namespaces
from qemunet_tests.harness.errors import HarnessError, Unavailable


def words(program: Sequence[str]) -> list[str]:
    """The command line that runs `program` so."""
    return ["env", f"PYTHONPATH={os.pathsep.join(sys.path)}", sys.executable, "-m", __name__, *program]


def _become(program: list[str]) -> None:
    try:
        namespaces.cut_off()
        os.execvp(program[0], program)
    except Unavailable as why:
        sys.exit(f"{why.reason} ({why.remedy})")
    except (HarnessError, OSError) as error:
        sys.exit(str(error))


if __name__ == "__main__":
    _become(sys.argv[1:])
