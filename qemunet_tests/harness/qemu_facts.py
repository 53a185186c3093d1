"""What a QEMU says about itself, and the version of the libslirp it uses, asked for without a guest.

Sources: the answers of `--version`, `-help`, `-netdev help`, `-machine help`, `-accel help` and `-L help`.
"""

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from qemunet_tests.harness.deadline import Deadline
from qemunet_tests.harness.errors import HarnessError, Unavailable, UsageError
from qemunet_tests.harness.host import machine as machines
from qemunet_tests.harness.host.files import MACHINE, first_closed, read_text
from qemunet_tests.harness.host.packages import install_command
from qemunet_tests.harness.search_path import search_path

#: Names of a QEMU that emulates a PC, and where RHEL keeps it out of PATH.
NAMES = ("qemu-system-x86_64", "qemu-kvm", "/usr/libexec/qemu-kvm")
_QUESTIONS = {
    "version": ["--version"],
    "options": ["-help"],
    "netdevs": ["-netdev", "help"],
    "machines": ["-machine", "help"],
    "accelerators": ["-accel", "help"],
    "folders": ["-L", "help"],
}
_ANSWER_SECONDS = 10.0
_START_SECONDS = 3.0
_ASK_LIBSLIRP = """
import ctypes, sys
version = ctypes.CDLL(sys.argv[1]).slirp_version_string
version.restype = ctypes.c_char_p
print(version().decode())
"""


@dataclass(frozen=True)
class Qemu:
    """One QEMU binary.

    `slirp` is libslirp's version, None where it has none or it cannot be told. `helper_path` is where this
    QEMU looks for qemu-bridge-helper, None without bridge support. `machine` is its default, with version.
    """

    path: Path
    version: str
    version_line: str
    slirp: str | None
    netdevs: frozenset[str]
    accelerators: frozenset[str]
    machine: str
    helper_path: str | None
    data_folders: tuple[Path, ...]

    def require_user_backend(self) -> None:
        """Raises Unavailable where this QEMU was built without user networking."""
        if "user" not in self.netdevs:
            raise Unavailable(
                f"{self.path} was built without libslirp: it has no -netdev user",
                "install the distribution's own QEMU, or rebuild with --enable-slirp",
            )

    def describe(self) -> dict[str, str | None]:
        """For results.json."""
        return {"path": str(self.path), "version": self.version, "slirp": self.slirp}


def find(requested: str | None = None) -> Qemu:
    """The QEMU asked for, by path or name, else the one that is installed.

    Raises UsageError where the one asked for is missing or no QEMU for PCs, Unavailable where none is
    installed or the installed one does not run.
    """
    if requested is not None:
        try:
            return _examine(_named(requested))
        except HarnessError as wrong:
            raise UsageError(str(wrong)) from wrong
    for name in NAMES:
        if found := shutil.which(name, path=search_path("/usr/local/bin:/usr/bin")):
            try:
                return _examine(Path(found))
            except HarnessError as wrong:
                raise Unavailable(str(wrong), f"install it again: {_install()}; or name another") from wrong
    raise Unavailable("QEMU is not installed", _install())


def _named(requested: str) -> Path:
    found = shutil.which(requested)
    if found is not None:
        return Path(found).absolute()
    place = Path(requested)
    if place.is_dir():
        raise UsageError(f"--qemu {requested}: that is a folder")
    if place.exists():
        raise UsageError(f"--qemu {requested}: that file may not be executed")
    raise UsageError(f"--qemu {requested}: there is no such program")


def _examine(path: Path) -> Qemu:
    found = path.stat()
    return _ask(path, found.st_size, found.st_mtime_ns)


@lru_cache(maxsize=16)
def _ask(path: Path, _size: int, _mtime_ns: int) -> Qemu:
    """Everything about the binary; kept in memory for as long as the file stays the same."""
    answers = _answers(path)
    # Some distributions put their own name before the version.
    version = re.search(r"QEMU emulator version (\d+(?:\.\d+)+)", answers["version"])
    if version is None:
        said = next(iter(answers["version"].strip().splitlines()), "")
        _require_open_configuration(path, said)
        raise HarnessError(f"{path} is not QEMU: asked for its version it says {said!r}")
    machine = default_machine(answers["machines"])
    if machine is None:
        raise HarnessError(f"{path} emulates no PC, which the guests need")
    netdevs = frozenset(re.findall(r"^([a-z0-9-]+)$", answers["netdevs"], re.MULTILINE))
    if not netdevs:
        # Every QEMU has some. One that says something else could not answer: a limit of memory does this.
        said = next(iter(answers["netdevs"].strip().splitlines()), "")
        raise HarnessError(f"{path} does not say which network backends it has, but {said!r}")
    helper = re.search(r"default=(\S*bridge-helper)\)", answers["options"])
    return Qemu(
        path=path,
        version=version.group(1),
        version_line=_line_with(version.group(), answers["version"]),
        slirp=_slirp_version(path) if "user" in netdevs else None,
        netdevs=netdevs,
        accelerators=frozenset(re.findall(r"^([a-z0-9-]+)$", answers["accelerators"], re.MULTILINE)),
        machine=machine,
        helper_path=helper.group(1) if helper else None,
        data_folders=tuple(Path(line) for line in answers["folders"].split() if line.startswith("/")),
    )


def _require_open_configuration(path: Path, said: str) -> None:
    """Raises Unavailable where QEMU says that it may not read its configuration, which it does before all else."""
    refused = re.search(r"Could not open '(/[^']+)': Permission denied", said)
    if refused is None:
        return
    closed = first_closed(MACHINE, refused[1]) or refused[1]
    mode = "0644" if closed == refused[1] else "0755"
    raise Unavailable(
        f"{path} ends at once, because {closed} is closed to this user: without {refused[1]} it does not even tell "
        "its version",
        f"sudo chmod {mode} {closed}",
    )


def _answers(path: Path) -> dict[str, str]:
    # Together, because each takes 30 ms, most of it for loading libraries.
    processes = {}
    try:
        for question, words in _QUESTIONS.items():
            processes[question] = subprocess.Popen(
                [path, *words],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                env={**os.environ, "LC_ALL": "C"},
            )
        return {
            question: process.communicate(timeout=_ANSWER_SECONDS)[0].decode(errors="replace")
            for question, process in processes.items()
        }
    except OSError as refused:
        raise HarnessError(f"{path} cannot be executed: {refused.strerror}") from refused
    except subprocess.TimeoutExpired as late:
        asked = " ".join(map(str, late.cmd))
        raise HarnessError(f"{asked} does not answer within {_ANSWER_SECONDS:.0f} s") from late
    finally:
        for process in processes.values():
            process.kill()
            process.wait()
            if process.stdout is not None:
                process.stdout.close()


def default_machine(machine_help: str) -> str | None:
    """The PC that guests are, with its version, which means the same to a later QEMU; None without any PC.

    The default, else what `pc` or `q35` stand for. One that is to be deleted is taken only where all are.
    """
    default = re.search(r"^((?:pc|q35)\S*)\s.*\(default\)", machine_help, re.MULTILINE)
    aliases = [re.search(rf"^{alias}\s.*\(alias of (\S+?)\)", machine_help, re.MULTILINE) for alias in ("pc", "q35")]
    offered = [found.group(1) for found in (default, *aliases) if found]
    return next((name for name in offered if not _is_deprecated(name, machine_help)), next(iter(offered), None))


def _is_deprecated(machine: str, machine_help: str) -> bool:
    return bool(re.search(rf"^{re.escape(machine)}\s.*\(deprecated\)", machine_help, re.MULTILINE))


def _slirp_version(path: Path) -> str | None:
    library = _linked_libslirp(path) or _mapped_libslirp(path)
    if library is None:
        return None
    # In a process of its own: it brings glib along.
    asked = _run([sys.executable, "-I", "-S", "-c", _ASK_LIBSLIRP, str(library)])
    if re.fullmatch(r"\d+\.\d+\.\d+\S*", asked.strip()):
        return asked.strip()
    # A library for another C library than Python's: its version stands in it as text.
    texts = re.findall(rb"\0(\d+\.\d+\.\d+)\0", library.read_bytes())
    return texts[0].decode() if len(set(texts)) == 1 else None


def _linked_libslirp(path: Path) -> Path | None:
    """As the dynamic loader finds it for this binary. A loader that is not asked runs `--version`."""
    said = _run([str(path), "--version"], LD_TRACE_LOADED_OBJECTS="1")
    found = re.search(r"^\s*libslirp\.so\S* => (/\S+)", said, re.MULTILINE)
    return Path(found.group(1)) if found else None


def _mapped_libslirp(path: Path) -> Path | None:
    """As an idle QEMU without a machine has it in memory, for wrapper scripts."""
    idle = [str(path), "-M", "none", "-nodefaults", "-display", "none", "-S"]
    quiet = subprocess.DEVNULL
    process = subprocess.Popen(idle, stdin=quiet, stdout=quiet, stderr=quiet)

    def mapped() -> re.Match[str] | None:
        maps = read_text(MACHINE, f"/proc/{process.pid}/maps") or ""
        return re.search(r"(/\S*libslirp\.so\S*)$", maps, re.MULTILINE)

    try:
        loading = Deadline(_START_SECONDS, "QEMU to load its libraries")
        loading.sees(lambda: mapped() or process.poll() is not None)
        found = mapped()
    finally:
        process.kill()
        process.wait()
    return Path(found.group(1)) if found else None


def _run(words: list[str], **environment: str) -> str:
    try:
        return subprocess.run(
            words,
            check=False,
            capture_output=True,
            stdin=subprocess.DEVNULL,
            timeout=_ANSWER_SECONDS,
            env={**os.environ, "LC_ALL": "C", **environment},
        ).stdout.decode(errors="replace")
    except (OSError, subprocess.TimeoutExpired):
        return ""


def _line_with(text: str, answer: str) -> str:
    return next(line.strip() for line in answer.splitlines() if text in line)


def _install() -> str:
    return install_command("qemu", machines.read(), "" if os.geteuid() == 0 else "sudo ")
