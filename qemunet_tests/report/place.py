"""The folder that a report goes into.

Another run's report moves to the folder `before` in it when a run begins, and from then on until the new one is done
its results say `interrupted`: whatever ends it, nobody takes another run's for its own.
"""

import contextlib
import errno
import json
import os
import shutil
import stat
from pathlib import Path

from qemunet_tests.report.book import JUNIT_FILE, RESULTS_FILE, SUMMARY_FILE, Book, write_results

BEFORE = "before"
ARTIFACTS = "artifacts"
#: What a run leaves in its folder. The results first: they say what the others are about.
OF_A_RUN = (RESULTS_FILE, JUNIT_FILE, SUMMARY_FILE, "report.html", ARTIFACTS)


def begin(folder: Path, target: str) -> None:
    """Move another run's report away, and have the results say that this run is not done. Raises OSError.

    To be called once in a run, before it does anything that can end it.
    """
    for unfinished in folder.glob(f".{RESULTS_FILE}-*"):
        unfinished.unlink()
    if any(os.path.lexists(folder / name) for name in OF_A_RUN):
        _move_away(folder)
    book = Book()
    book.interrupted = True
    write_results(book.results(target), folder)


def _move_away(folder: Path) -> None:
    before = folder / BEFORE
    if _found_nothing(folder):
        # What `before` holds is worth more.
        for name in OF_A_RUN:
            _remove(folder / name)
        return
    with contextlib.suppress(FileExistsError):
        before.mkdir()
    if not stat.S_ISDIR(before.lstat().st_mode):
        raise NotADirectoryError(errno.ENOTDIR, f"{BEFORE!r} in it is no folder", str(before))
    for name in OF_A_RUN:
        _remove(before / name)
        with contextlib.suppress(FileNotFoundError):
            (folder / name).rename(before / name)


def _found_nothing(folder: Path) -> bool:
    """Whether the run that is there was ended before it knew anything."""
    try:
        said = json.loads((folder / RESULTS_FILE).read_bytes())
        return bool(said["interrupted"]) and not said["verdicts"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return False


def _remove(path: Path) -> None:
    """Whatever bears that name, if anything does; not what a link leads to."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
