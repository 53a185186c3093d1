"""The folder that a report goes into.

Another run's report moves to the folder `before` in it when a run begins, and from then on until the new one is done
its results say `interrupted`: whatever ends it, nobody takes another run's for its own.
"""

import errno
import json
from pathlib import Path

from qemunet_tests.errors import UsageError
from qemunet_tests.isolation.folder import Folder, opened
from qemunet_tests.report.session_results import JUNIT_FILE, RESULTS_FILE, SUMMARY_FILE, SessionResults, write_results

BEFORE = "before"
ARTIFACTS = "artifacts"
#: What a run leaves in its folder. The results first: they say what the others are about.
OF_A_RUN = (RESULTS_FILE, JUNIT_FILE, SUMMARY_FILE, "report.html", ARTIFACTS)


def begin(folder: Path, target: str, flag: str) -> None:
    """Move another run's report away, and have the results say that this run is not done.

    To be called once in a run, before it does anything that can end it. `flag` is the option that named the folder.
    Raises UsageError.
    """
    try:
        _begin(folder, target)
    except OSError as refused:
        raise UsageError(f"{flag}: cannot write into {str(folder)!r}: {refused.strerror}") from refused


def _begin(folder: Path, target: str) -> None:
    with opened(folder) as place:
        names = place.names()
        for unfinished in (name for name in names if name.startswith(f".{RESULTS_FILE}-")):
            place.remove(unfinished)
        if any(name in names for name in OF_A_RUN):
            _move_away(place)
    session = SessionResults()
    session.interrupted = True
    write_results(session.results(target), folder)


def _move_away(place: Folder) -> None:
    if _found_nothing(place):
        # What `before` holds is worth more.
        for name in OF_A_RUN:
            place.remove(name)
        return
    try:
        with place.sub(BEFORE) as before:
            for name in OF_A_RUN:
                before.remove(name)
                place.move(name, before)
    except OSError as refused:
        # A link is none either: it would have us write elsewhere.
        if refused.errno in (errno.ENOTDIR, errno.ELOOP):
            raise NotADirectoryError(errno.ENOTDIR, f"{BEFORE!r} in it is no folder", str(place.path)) from refused
        raise


def _found_nothing(place: Folder) -> bool:
    """Whether the run that is there was ended before it knew anything."""
    try:
        said = json.loads(place.read(RESULTS_FILE))
        return bool(said["interrupted"]) and not said["verdicts"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return False
