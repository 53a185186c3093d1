"""Asking a QEMU about itself: as the user that guests run as, and so that nothing it starts is left."""

import contextlib
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from qemunet_tests.deadline import Deadline
from qemunet_tests.errors import HarnessError
from qemunet_tests.host import credentials, paths_in_binary
from qemunet_tests.host.files import MACHINE, read_text
from qemunet_tests.host.process_table import descendants
from qemunet_tests.isolation import enclosure
from qemunet_tests.isolation.identity import Identity
from qemunet_tests.qemu import relocation

QUESTIONS = {
    "version": ["--version"],
    "options": ["-help"],
    "netdevs": ["-netdev", "help"],
    "machines": ["-machine", "help"],
    "accelerators": ["-accel", "help"],
    "folders": ["-L", "help"],
}
ANSWER_SECONDS = 10.0
_START_SECONDS = 3.0
#: setpriv(1) and sh(1) end so where the program could not be executed.
_NOT_EXECUTED = (126, 127)
_VERSION_AS_TEXT = re.compile(rb"\0(\d+\.\d+\.\d+)\0")
#: It waits for its configuration, before it needs what it may not find: one that was moved has no accelerator where
#: those are modules, and would have ended before anybody looked into it.
_IDLE = shlex.split("-M none -nodefaults -no-user-config -readconfig /proc/self/fd/0 -display none -S")
_ASK_LIBSLIRP = """
import ctypes, sys
version = ctypes.CDLL(sys.argv[1]).slirp_version_string
version.restype = ctypes.c_char_p
print(version().decode())
"""


def version_in(answer: str) -> str | None:
    """What `--version` names, behind whatever a distribution puts before it; None where no QEMU answered."""
    found = re.search(r"QEMU emulator version (\d+(?:\.\d+)+)", answer)
    return found.group(1) if found else None


def netdevs_in(answer: str) -> frozenset[str]:
    """What `-netdev help` lists: a line for each."""
    return frozenset(re.findall(r"^([a-z0-9-]+)$", answer, re.MULTILINE))


class Unanswered(HarnessError):
    """A QEMU did not get as far as answering: it was killed, or took too long. Nothing was learned about it."""


def words_as(asker: Identity) -> list[str]:
    """What makes the words behind it run as the user that guests run as; an ordinary user is that himself.

    So is the root of a user namespace in which there is nobody else.
    """
    return asker.prefix() if os.geteuid() == 0 and credentials.is_known(asker.uid) else []


def answers(path: Path, asker: Identity) -> dict[str, str]:
    """What it says to all questions, asked side by side, because each takes 30 ms. Raises HarnessError, Unanswered."""
    if path.stat().st_size == 0:
        raise HarnessError(f"{path} cannot be executed: it is empty")
    questions = {name: [*words_as(asker), str(path), *words] for name, words in QUESTIONS.items()}
    trouble = ""
    # Twice: whatever killed it may have been meant for somebody else, and a busy machine may be less so.
    for _ in range(2):
        said = enclosure.ask(questions, ANSWER_SECONDS)
        trouble = next((f"{name}: it {each.trouble}" for name, each in said.items() if each.trouble), "")
        if not trouble:
            _require_executed(path, asker, said["version"])
            return {name: answer.text for name, answer in said.items()}
    name, _, what = trouble.partition(": it ")
    raise Unanswered(f"{path} {' '.join(QUESTIONS[name])} {what}, asked twice")


def _require_executed(path: Path, asker: Identity, answer: enclosure.ProgramAnswer) -> None:
    # The last is what a script's interpreter says, which may be executed where the script may not be read.
    if answer.status in _NOT_EXECUTED or answer.text.strip().endswith(f"{path}: Permission denied"):
        why = answer.text.strip().rpartition(": ")[2] or "it does not say why"
        whom = f" by {asker.name}, the user that guests run as" if os.geteuid() == 0 else ""
        raise HarnessError(f"{path} cannot be executed{whom}: {why}")


class IdleQemu:
    """A QEMU that has nothing to do, looked into from outside: what a wrapper script does not tell.

    `executable` is the QEMU itself, `libslirp` the library it has in memory; None where they were not seen.
    """

    def __init__(self, path: Path, asker: Identity) -> None:
        self.executable: Path | None = None
        self.libslirp: Path | None = None
        quiet = subprocess.DEVNULL
        with _never_ending_input() as waiting:
            enclosed = enclosure.words([*words_as(asker), str(path), *_IDLE])
            process = subprocess.Popen(
                enclosed, stdin=waiting, stdout=quiet, stderr=quiet, cwd="/", start_new_session=True
            )
            try:
                loading = Deadline(_START_SECONDS, "QEMU to load its libraries")
                loading.sees(lambda: self._look(process.pid) or process.poll() is not None)
            finally:
                enclosure.end(process)

    def _look(self, pid: int) -> bool:
        for each in descendants(pid):
            maps = read_text(MACHINE, f"/proc/{each}/maps") or ""
            if found := re.search(r"(/\S*libslirp\.so\S*)$", maps, re.MULTILINE):
                self.libslirp = Path(found[1])
            if self.executable is None and (place := _executable_of(each)) and relocation.is_qemu(place):
                self.executable = place
        return self.executable is not None and self.libslirp is not None


@contextlib.contextmanager
def _never_ending_input() -> Iterator[int]:
    """A pipe that nobody writes to, and that any user may open by its name below /proc."""
    reading, writing = os.pipe()
    try:
        os.fchmod(reading, 0o666)
        yield reading
    finally:
        os.close(reading)
        os.close(writing)


def _executable_of(pid: int) -> Path | None:
    try:
        return Path(f"/proc/{pid}/exe").readlink()
    except OSError:
        return None


def linked_libslirp(path: Path, asker: Identity) -> Path | None:
    """As the dynamic loader finds it for this binary. A loader that is not asked runs `--version`."""
    words = [*words_as(asker), "env", "LD_TRACE_LOADED_OBJECTS=1", str(path), "--version"]
    said = enclosure.ask({"loads": words}, ANSWER_SECONDS)["loads"].text
    found = re.search(r"^\s*libslirp\.so\S* => (/\S+)", said, re.MULTILINE)
    return Path(found.group(1)) if found else None


def libslirp_version(library: Path, asker: Identity) -> str | None:
    """Its own word for it. A wrapper may have named anything: it is loaded by the user that guests run as."""
    # In a process of its own: it brings glib along.
    words = [*words_as(asker), str(Path(sys.executable).resolve()), "-I", "-S", "-c", _ASK_LIBSLIRP, str(library)]
    said = enclosure.ask({"version": words}, ANSWER_SECONDS)["version"].text.strip()
    if re.fullmatch(r"\d+\.\d+\.\d+\S*", said):
        return said
    # A library for another C library than Python's: its version stands in it as text.
    try:
        texts = {text for piece in paths_in_binary.pieces(library) for text in _VERSION_AS_TEXT.findall(piece)}
    except OSError:
        return None
    return texts.pop().decode() if len(texts) == 1 else None
