"""What all workers of a run read lies in its memory once: the first that asks makes it, the others wait for it.

Workers have mounts of their own, so that what one writes no other can see. One folder of their controller's is bound
into each (`namespaces.enter_worker`).
"""

import shutil
from collections.abc import Callable
from pathlib import Path

from qemunet_tests.isolation import namespaces
from qemunet_tests.lock import locked

#: Making something may mean booting a guest, on a busy machine and behind others who do the same.
LONGEST_SECONDS = 600.0


def made_once(name: str, make: Callable[[Path], None]) -> Path:
    """The folder `name` of this run, filled by `make` when it is first asked for.

    `make` gets a folder's path and creates it; where it raises, nothing is there, and whoever asks next tries again.
    Raises what it raises, TimedOut where another worker does not come to an end, and OSError.
    """
    folder = namespaces.shared() / name
    with locked(folder.with_name(f".{name}.lock"), LONGEST_SECONDS, f"another worker that makes {name}"):
        if not folder.is_dir():
            unfinished = folder.with_name(f".{name}.unfinished")
            shutil.rmtree(unfinished, ignore_errors=True)
            make(unfinished)
            unfinished.rename(folder)
    return folder
