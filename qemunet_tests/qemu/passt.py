"""passt, the other way to user networking: a program of its own that QEMU talks to over a socket.

Sources: passt(1); -netdev passt since QEMU 10.1, -netdev stream since 7.2.
"""

import contextlib
import os
import re
import shlex
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from qemunet_tests.host.search_path import SYSTEM_PATH, search_path
from qemunet_tests.isolation import enclosure
from qemunet_tests.printable import printable
from qemunet_tests.timeouts import turns

#: On a machine that is not busy; asked again, where it took longer.
_ANSWER_SECONDS = 2.0
#: What writes more is ended by SIGXFSZ; of 512 bytes, as ulimit(1) counts.
_MOST_BLOCKS = 128
#: The older releases call themselves by date and commit.
_VERSION = re.compile(r"^passt (?P<version>\S.{,99})$", re.MULTILINE)
_UNTOLD = "unknown version"


@dataclass(frozen=True)
class Passt:
    """`version` is its own word for it, which some distributions leave unknown; None where it does not run."""

    path: str
    version: str | None


#: One of the caller's own, instead of the installed.
_chosen: list[Path] = []


#: When this process started one.
_starts_seconds: list[float] = []


def choose(program: Path) -> None:
    """From now on this is passt, whatever is installed."""
    _chosen[:] = [program]


def chosen() -> Path | None:
    """The one that was chosen so."""
    return _chosen[0] if _chosen else None


def note_start() -> None:
    """This process started one, whoever it is for."""
    _starts_seconds.append(time.monotonic())


def starts() -> int:
    """How many were started so far: a test in which that number rises has a passt in its path."""
    return len(_starts_seconds)


def find(environment: Mapping[str, str] = os.environ) -> Passt | None:
    """The one that was chosen, else the one in PATH, or where ordinary programs are."""
    path = str(_chosen[0]) if _chosen else installed_path(environment)
    return None if path is None else Passt(path, version(path))


def installed_path(environment: Mapping[str, str] = os.environ) -> str | None:
    """Where the installed one is."""
    return shutil.which("passt", path=search_path("/usr/local/bin:/usr/bin", SYSTEM_PATH, environment=environment))


def version(path: str) -> str | None:
    """What a passt calls itself; None where it does not run, or is none."""
    said = _answer(path, "--version")
    # That of Debian 13, of 2025-05-03, ends without writing what it has to say where that is no terminal.
    found = _VERSION.search(_at_a_terminal(path, "--version") if said == "" else said or "")
    if found is None:
        return None
    told = printable(found["version"])
    return (_packaged(path) or told) if told == _UNTOLD else told


def _packaged(path: str) -> str | None:
    """The version of the Debian package that the program is of: Debian 12 built it without one of its own."""
    owner, colon, _ = (_answer("dpkg-query", "--search", os.path.realpath(path)) or "").partition(":")
    return (_answer("dpkg-query", "--show", "--showformat=${Version}", owner) or None) if colon else None


def _at_a_terminal(*words: str) -> str:
    """The same of a program that has a terminal, as script(1) makes it one."""
    said = _answer("env", "SHELL=/bin/sh", "script", "-q", "-c", f"exec {shlex.join(words)}", "/dev/null")
    return (said or "").replace("\r\n", "\n")


def _answer(*words: str) -> str | None:
    """What a program writes on standard output; None where it does not run or end, or where it writes on and on.

    It may be the caller's own, and start what it likes: that ends with it.
    """
    limited = ["sh", "-c", f'ulimit -f {_MOST_BLOCKS} && exec "$@"', "sh", *words]
    for patience_seconds in turns(_ANSWER_SECONDS, again=False):
        with contextlib.suppress(OSError):
            said = enclosure.Asked({"said": limited}, os.environ, both=False).answers(patience_seconds)["said"]
            if said.status is not None:
                return said.text
    return None
