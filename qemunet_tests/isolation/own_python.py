"""Starting Python so that it imports what this process would import, and nothing from where the caller happens to be.

`python -m` and `python -c` put the current folder first on the import path. In a folder that others may write, as
/tmp, a file `json.py` of theirs would be executed by whoever runs us there.
"""

import os
import shlex
import sys

#: With -I: no current folder, no PYTHONPATH and no other variable of Python's, no site-packages of the user's own.
_RUN = "import runpy, sys; path = sys.argv[1]; del sys.argv[:2]; sys.path[:] = path.split(':'); \
runpy.run_module(sys.argv[0], run_name='__main__', alter_sys=True)"


def words(module: str, *arguments: str) -> list[str]:
    """The command line that runs a module of ours as a program."""
    return [sys.executable, *flags(), "-c", _RUN, os.pathsep.join(import_path()), module, *arguments]


def import_path() -> list[str]:
    """Where this process imports from, without what means another folder for another process."""
    return [folder for folder in sys.path if os.path.isabs(folder)]  # noqa: PTH117  (an empty one is no Path)


def flags() -> list[str]:
    """What isolates Python; what the isolation hides from it, and is worth keeping, is said in words."""
    return ["-I", *(["-B"] if sys.dont_write_bytecode else [])]


def interpreter(isolated: bool) -> str:
    """For xdist, which takes the words for a worker's Python as a shell would.

    Not `isolated`, Python's own variables still count, but the current folder does not.
    """
    return shlex.join([sys.executable, *(flags() if isolated else ["-P"])])
