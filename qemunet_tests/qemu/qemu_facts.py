"""What a QEMU says about itself, and the version of the libslirp it uses, asked for without a guest.

Sources: the answers of `--version`, `-help`, `-netdev help`, `-machine help`, `-accel help` and `-L help`.
"""

import os
import re
import shutil
import stat
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from qemunet_tests.errors import HarnessError, Unavailable, UsageError
from qemunet_tests.host import acl, resources
from qemunet_tests.host import system as machines
from qemunet_tests.host.files import MACHINE, first_closed
from qemunet_tests.host.obstacle import Obstacle
from qemunet_tests.host.package_manager import install_command
from qemunet_tests.host.search_path import search_path
from qemunet_tests.isolation.identity import Identity, unprivileged
from qemunet_tests.qemu import qemu_questions, relocation
from qemunet_tests.qemu.own_build import OwnBuild
from qemunet_tests.qemu.qemu_questions import Unanswered

#: Names of a QEMU that emulates a PC, and where RHEL keeps it out of PATH.
NAMES = ("qemu-system-x86_64", "qemu-kvm", "/usr/libexec/qemu-kvm")


@dataclass(frozen=True)
class Qemu:
    """One QEMU binary.

    `slirp` is libslirp's version, None where it has none or it cannot be told. `helper_path` is where this
    QEMU looks for qemu-bridge-helper, None without bridge support, and `access_list` is what that helper reads.
    `machine` is its default, with version. `library` is the file that its libslirp is loaded from. `own_libslirp` and
    `own_helper` are tried in place of those.
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
    library: Path | None = None
    own_libslirp: OwnBuild | None = None
    own_helper: OwnBuild | None = None
    access_list: str = acl.DEFAULT_PATH

    def without_user_backend(self) -> Obstacle | None:
        """Why it has no user networking, where it was built without."""
        if "user" in self.netdevs:
            return None
        return Obstacle(
            f"{self.path} was built without libslirp: it has no -netdev user",
            "install the distribution's own QEMU, or rebuild with --enable-slirp",
        )

    def describe(self) -> dict[str, Any]:
        """For results.json."""
        own = {"own_libslirp": self.own_libslirp, "own_helper": self.own_helper}
        return {
            "path": str(self.path),
            "version": self.version,
            "slirp": self.slirp,
            **{name: build.describe() for name, build in own.items() if build},
        }


#: By path, size and time of the last change.
_known: dict[tuple[str, int, int], Qemu] = {}


def find(requested: str | None = None, asker: Identity | None = None, option: str = "--qemu") -> Qemu:
    """The QEMU asked for, by path or name, else the one that is installed. `asker` is whom guests run as, `option`
    what asked.

    Raises UsageError where the one asked for is missing or no QEMU for PCs, Unavailable where none is
    installed or the installed one does not run, and HarnessError where one was killed while it was asked: nothing was
    learned about that.
    """
    asker = asker or unprivileged()
    if requested is not None:
        try:
            return _examine(_named(requested, option), asker)
        except Unanswered:
            raise
        except HarnessError as wrong:
            raise UsageError(f"{option}: {wrong}") from wrong
    for name in NAMES:
        if found := shutil.which(name, path=search_path("/usr/local/bin:/usr/bin")):
            try:
                return _examine(Path(found), asker)
            except Unanswered:
                raise
            except HarnessError as wrong:
                if _known:
                    # It was asked before, and answered: nothing is missing here.
                    raise
                raise Unavailable(*_does_not_answer(str(wrong))) from wrong
    raise Unavailable("QEMU is not installed", _install())


def _does_not_answer(said: str) -> tuple[str, str]:
    """What is wrong with the QEMU that was found, and what helps: first of all more memory, where it is limited."""
    install = f"install it again: {_install()}; or name another"
    limits = resources.memory_limits()
    if not limits:
        return said, install
    known = " and ".join(f"{each.bytes >> 20} MiB of {each.what} ({each.name})" for each in limits)
    lift = ", ".join(each.lift for each in limits)
    return (
        f"{said}; it was asked under a limit of {known}",
        f"lift the limit and try again: {lift}; if it says so without one, {install}",
    )


def _named(requested: str, option: str) -> Path:
    place = Path(requested)
    # What has a slash is a path, as it is for a shell; what has none is looked for, and not in the current folder.
    found = str(place.absolute()) if "/" in requested else shutil.which(requested, path=search_path())
    if found is not None and Path(found).is_file() and os.access(found, os.X_OK):
        if Path(found).stat().st_mode & (stat.S_ISUID | stat.S_ISGID):
            raise UsageError(f"--qemu {requested}: it is setuid or setgid, and guests run as none but their own user")
        return Path(found)
    if place.is_dir():
        raise UsageError(f"{option} {requested}: that is a folder")
    if place.exists() and "/" in requested:
        raise UsageError(f"{option} {requested}: that file may not be executed")
    raise UsageError(f"{option} {requested}: there is no such program")


def _examine(path: Path, asker: Identity) -> Qemu:
    """What is known of the file, as long as it stays the same; else it is asked."""
    found = path.stat()
    key = (str(path), found.st_size, found.st_mtime_ns)
    if key not in _known:
        _known[key] = _ask(path, asker)
    return _known[key]


def known() -> list[list[Any]]:
    """What was learned so far as plain data, for the workers of a run."""
    return [[list(key), {name: _plain(value) for name, value in asdict(qemu).items()}] for key, qemu in _known.items()]


def learn(told: list[list[Any]]) -> None:
    """Believe what another process of this run has learned."""
    for (path, size, mtime_ns), said in told:
        paths = {"path": Path(said["path"]), "data_folders": tuple(map(Path, said["data_folders"]))}
        paths["library"] = Path(said["library"]) if said["library"] else None
        sets = {name: frozenset(said[name]) for name in ("netdevs", "accelerators")}
        _known[path, size, mtime_ns] = Qemu(**{**said, **paths, **sets})


def _plain(value: Any) -> Any:
    if isinstance(value, Path):
        return str(value)
    return (
        [_plain(each) for each in sorted(value, key=str)]
        if isinstance(value, frozenset)
        else ([_plain(each) for each in value] if isinstance(value, tuple) else value)
    )


def _ask(path: Path, asker: Identity) -> Qemu:
    """Everything about the binary."""
    answers = qemu_questions.answers(path, asker)
    version = qemu_questions.version_in(answers["version"])
    if version is None:
        said = next(iter(answers["version"].strip().splitlines()), "")
        _require_open_configuration(path, said)
        raise HarnessError(f"{path} is not QEMU: asked for its version it says {said!r}")
    machine = default_machine(answers["machines"])
    if machine is None:
        raise HarnessError(f"{path} emulates no PC, which the guests need")
    netdevs = qemu_questions.netdevs_in(answers["netdevs"])
    if not netdevs:
        # Every QEMU has some. One that says something else could not answer: a limit of memory does this.
        said = next(iter(answers["netdevs"].strip().splitlines()), "")
        raise HarnessError(f"{path} does not say which network backends it has, but {said!r}")
    helper = re.search(r"default=(\S*bridge-helper)\)", answers["options"])
    executable, library = _inside(path, asker, needs_library="user" in netdevs)
    helper_path = _started(helper.group(1), executable, answers["folders"]) if helper else None
    return Qemu(
        path=path,
        version=version,
        version_line=_line_with(f"version {version}", answers["version"]),
        slirp=qemu_questions.libslirp_version(library, asker) if library else None,
        netdevs=netdevs,
        accelerators=frozenset(re.findall(r"^([a-z0-9-]+)$", answers["accelerators"], re.MULTILINE)),
        machine=machine,
        helper_path=helper_path,
        data_folders=tuple(Path(line) for line in answers["folders"].split() if line.startswith("/")),
        library=library,
        access_list=acl.path_read_by(helper_path or ""),
    )


def _inside(path: Path, asker: Identity, needs_library: bool) -> tuple[Path | None, Path | None]:
    """The file that QEMU itself is, behind wrapper scripts, and the libslirp it loads; None where they do not show."""
    executable = path.resolve() if relocation.is_qemu(path) else None
    library = qemu_questions.linked_libslirp(path, asker) if needs_library else None
    if executable and (library or not needs_library):
        return executable, library
    idle = qemu_questions.IdleQemu(path, asker)
    return executable or idle.executable, (library or idle.libslirp) if needs_library else None


def _started(helper: str, executable: Path | None, folders: str) -> str:
    return relocation.started(helper, executable, folders.split()) if executable else helper


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


def _line_with(text: str, answer: str) -> str:
    return next(line.strip() for line in answer.splitlines() if text in line)


def _install() -> str:
    return install_command("qemu", machines.read(), "" if os.geteuid() == 0 else "sudo ")
