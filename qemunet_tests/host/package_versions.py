"""Which packages brought some files, and in which versions: asked of the package manager that is there.

Sources: dpkg-query(1), rpm(8), pacman(8). Only Debian's was tried.
"""

import os
import re
from collections.abc import Callable, Iterable, Sequence

from qemunet_tests.host.asking import NOT_FOUND, Ask, Completed, ask_here

#: A disk that others keep busy may take seconds for the lists of all packages.
_ANSWER_SECONDS = 10.0


def _patiently(words: Sequence[str]) -> Completed:
    return ask_here(words, _ANSWER_SECONDS)


def versions_of(files: Iterable[str], ask: Ask = _patiently) -> dict[str, str] | None:
    """Version by package; files of no package are not in it. None where no package manager answers."""
    # A merged /usr has two names for a file, and a package may know the other one.
    found = dict.fromkeys(name for file in files for name in (os.path.realpath(file), file))
    for manager in (_of_dpkg, _of_rpm, _of_pacman):
        if (packages := manager(list(found), ask)) is not None:
            return dict(sorted(packages.items()))
    return None


def _of_dpkg(files: Sequence[str], ask: Ask) -> dict[str, str] | None:
    owners = ask(["dpkg-query", "--search", *files])
    if owners.status == NOT_FOUND:
        return None
    # "samba: /usr/sbin/smbd", "libslirp0:amd64: /usr/lib/…", or several with commas; diversions have sentences.
    named = re.findall(r"^([a-z0-9][^\s:]*(?::[a-z0-9]+)?(?:, [^\s:]+(?::[a-z0-9]+)?)*): /", owners.text, re.MULTILINE)
    packages = dict.fromkeys(name for names in named for name in names.split(", "))
    if not packages:
        return {}
    shown = ask(["dpkg-query", "--show", "--showformat=${Package} ${Version}\\n", *packages])
    return _pairs(shown)


def _of_rpm(files: Sequence[str], ask: Ask) -> dict[str, str] | None:
    return _asked_one_by_one(files, ask, lambda file: ["rpm", "-qf", "--queryformat=%{NAME} %{EVR}\\n", file])


def _of_pacman(files: Sequence[str], ask: Ask) -> dict[str, str] | None:
    def owner(file: str) -> list[str]:
        return ["pacman", "-Qqo", file]

    owners = _asked_one_by_one(files, ask, owner, words=1)
    return None if owners is None else _pairs(ask(["pacman", "-Q", *owners])) if owners else {}


def _asked_one_by_one(
    files: Sequence[str], ask: Ask, question: Callable[[str], list[str]], words: int = 2
) -> dict[str, str] | None:
    """Such a manager fails for the whole list where one of the files is of no package."""
    answers = [ask(question(file)) for file in files]
    if any(answer.status == NOT_FOUND for answer in answers):
        return None
    lines = [line.split() for answer in answers if answer.succeeded for line in answer.text.splitlines()]
    return {line[0]: line[-1] for line in lines if len(line) == words}


def _pairs(answer: Completed) -> dict[str, str]:
    lines = [line.split() for line in answer.text.splitlines()]
    return {line[0]: line[1] for line in lines if len(line) == 2}
