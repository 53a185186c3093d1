"""Every QEMU on this host that could run a guest, its version and its network backends: several may be installed.

Sources: the answers of `--version` and `-netdev help`; where distributions keep QEMU.
"""

import os
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from qemunet_tests.host.search_path import search_path
from qemunet_tests.isolation.enclosure import Asked, ProgramAnswer
from qemunet_tests.isolation.identity import unprivileged
from qemunet_tests.qemu.qemu_questions import QUESTIONS, netdevs_in, version_in, words_as

#: Emulators of PCs, which is what the guests need.
_NAMES = re.compile(r"qemu-system-(x86_64\S*|i386)|qemu-kvm|kvm")
_PLAINEST = "qemu-system-x86_64"
_FOLDERS = (
    "/usr/local/bin",
    "/usr/bin",
    "/snap/bin",
    "/var/lib/flatpak/exports/bin",
    "/run/current-system/sw/bin",
)
#: Where RHEL has its own.
_OUT_OF_THE_WAY = (Path("/usr/libexec/qemu-kvm"),)
#: The backends worth telling about.
_BACKENDS = ("user", "passt", "stream", "bridge", "tap")
_QUESTIONS = (QUESTIONS["version"], QUESTIONS["netdevs"])
#: For all of them together, once there is nothing else to do: they are asked side by side.
_ANSWER_SECONDS = 1.0
_MOST = 6
#: Packagings that shut a program off from the helper, its list and the devices.
_SHUT_OFF = {"/snap/": "snap", "/app/": "flatpak", "/var/lib/flatpak/": "flatpak"}


@dataclass(frozen=True)
class Emulator:
    """`version` is None where the program does not answer as QEMU does, or does not answer in time: then `late`.

    `backends` is None where it would not tell, as one for KVM alone does without KVM.
    """

    path: str
    version: str | None
    backends: tuple[str, ...] | None = ()
    late: bool = False

    @property
    def packaging(self) -> str | None:
        return packaging(self.path)


def packaging(path: str) -> str | None:
    """The name of a packaging that shuts a program at this path off from the system."""
    return next((name for start, name in _SHUT_OFF.items() if path.startswith(start)), None)


def begin(
    environment: Mapping[str, str] = os.environ, folders: Iterable[str] = _FOLDERS
) -> Callable[[], tuple[Emulator, ...]]:
    """Ask those in PATH and at known places, each file once however many names it has.

    Returns what waits for the answers; it has to be called.
    """
    searched = search_path(*folders, environment=environment).split(":")
    paths: dict[Path, Path] = {}
    for path in (*(path for folder in searched for path in _in_folder(Path(folder))), *_OUT_OF_THE_WAY):
        if path.is_file() and os.access(path, os.X_OK):
            paths.setdefault(path.resolve(), path)
    return _ask(list(paths.values())[:_MOST])


def _in_folder(folder: Path) -> list[Path]:
    try:
        names = [entry.name for entry in folder.iterdir() if _NAMES.fullmatch(entry.name)]
    except OSError:
        return []
    # The plainest name first: kvm is often a link to another.
    return [folder / name for name in sorted(names, key=lambda name: (not name.startswith(_PLAINEST), len(name)))]


def _ask(paths: list[Path]) -> Callable[[], tuple[Emulator, ...]]:
    if not paths:
        return lambda: ()
    questions = {
        f"{path} {words[-1]}": [*words_as(unprivileged()), str(path), *words] for path in paths for words in _QUESTIONS
    }
    asked = Asked(questions, os.environ, both=False)

    def collect() -> tuple[Emulator, ...]:
        said = asked.answers(_ANSWER_SECONDS)
        return tuple(_emulator(path, *[said[f"{path} {words[-1]}"] for words in _QUESTIONS]) for path in paths)

    return collect


def _emulator(path: Path, about_itself: ProgramAnswer, backends: ProgramAnswer) -> Emulator:
    if about_itself.trouble or backends.trouble:
        return Emulator(str(path), None, late=True)
    offered = netdevs_in(backends.text)
    known = tuple(name for name in _BACKENDS if name in offered) if offered else None
    return Emulator(str(path), version_in(about_itself.text), known)
