"""The folder that a report goes into.

Another run's report moves to the folder `before` in it when a run begins, and from then on until the new one is done
its results say `interrupted`: whatever ends it, nobody takes another run's for its own.
"""

import errno
import json
import shlex
from pathlib import Path

from qemunet_tests import option_checks
from qemunet_tests.isolation.folder import Folder, opened
from qemunet_tests.report.session_results import JUNIT_FILE, RESULTS_FILE, SUMMARY_FILE, SessionResults, write_results

BEFORE = "before"
ARTIFACTS = "artifacts"
#: What a run leaves in its folder. The results first: they say what the others are about.
OF_A_RUN = (RESULTS_FILE, JUNIT_FILE, SUMMARY_FILE, "report.html", ARTIFACTS)


#: Another run's results on their way to `before`: while they are here, its other files are in either of the folders.
_MOVING = ".results-of-before.json"


def begin(folder: Path, target: str, flag: str) -> None:
    """Move another run's report away, and have the results say that this run is not done.

    To be called once in a run, before it does anything that can end it. `flag` is the option that named the folder.
    Raises UsageError, and HarnessError where there is no room.
    """
    try:
        _begin(folder, target)
    except OSError as refused:
        raise option_checks.refusal(folder, flag, refused) from refused


def line_to_type(folder: Path) -> str | None:
    """What compares the run in a folder with the one before it, for whoever is in this folder; None without one."""
    before = folder / BEFORE
    if not (before / RESULTS_FILE).is_file():
        return None
    here = Path.cwd()
    named = [path.relative_to(here) if path.is_relative_to(here) else path for path in (before, folder)]
    # What begins with a dash would be taken for an option.
    return shlex.join(["qemunet", "compare", *(f"./{path}" if str(path)[0] == "-" else str(path) for path in named)])


def _begin(folder: Path, target: str) -> None:
    with opened(folder) as place:
        names = place.names()
        for unfinished in (name for name in names if name.startswith(f".{RESULTS_FILE}-")):
            place.remove(unfinished)
        if any(name in names for name in (*OF_A_RUN, _MOVING)):
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
            _replace(before, place)
    except OSError as refused:
        # A link is none either: it would have us write elsewhere.
        if refused.errno in (errno.ENOTDIR, errno.ELOOP):
            raise NotADirectoryError(errno.ENOTDIR, f"{BEFORE!r} in it is no folder", str(place.path)) from refused
        raise


def _replace(before: Folder, place: Folder) -> None:
    """Move a run over the one that is in `before`.

    Wherever this is ended, the next run goes on with it and loses nothing: the results leave first, so that nobody
    takes them for those of a run to come, and arrive last. Until `before` has lost its own, nothing has come to it.
    """
    _, *others = OF_A_RUN
    if RESULTS_FILE in place.names():
        place.remove(_MOVING)
        place.move(RESULTS_FILE, place, _MOVING)
    here = place.names()
    if RESULTS_FILE in before.names():
        for name in others:
            if name not in here:
                before.remove(name)
        before.remove(RESULTS_FILE)
    for name in others:
        if name in here:
            before.remove(name)
            place.move(name, before)
    place.move(_MOVING, before, RESULTS_FILE)


def _found_nothing(place: Folder) -> bool:
    """Whether the run that is there was ended before it knew anything."""
    try:
        said = json.loads(place.read(RESULTS_FILE))
        return bool(said["interrupted"]) and not said["verdicts"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return False
