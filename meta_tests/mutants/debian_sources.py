"""Source packages as Debian ships them, fetched by apt with a private copy of the machine's sources turned to deb-src.

apt checks what it fetches against its signed lists. Nothing of the machine's own lists is changed.
"""

import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from qemunet_tests import cache

_MACHINES = Path("/etc/apt")
#: In deb822 files, and in files of one line a source.
_TYPES = re.compile(r"^Types:.*$", re.MULTILINE)
_LINE = re.compile(r"^deb(?=\s)", re.MULTILINE)


class NoSource(Exception):
    """The source of what is installed cannot be had."""


def shelf(name: str = "") -> Path:
    """The folder of the cache in which sources and builds are kept."""
    folder = cache.make() / "mutants" / name
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def source_of(file: Path) -> tuple[str, str]:
    """The source package, with its version, that an installed file is of. Raises NoSource."""
    for path in dict.fromkeys([file, file.resolve()]):
        owner = _said("dpkg-query", "--search", str(path)).partition(":")[0]
        if owner:
            package, version = _said("dpkg-query", "-W", "-f", "${source:Package} ${source:Version}\\n", owner).split()[
                :2
            ]
            return package, version
    raise NoSource(f"no Debian package has {file}")


def fetched(package: str, version: str) -> Path:
    """The folder with the files of a source package, kept for the next time. Raises NoSource."""
    folder = shelf(f"sources/{package}_{version.replace(':', '%')}")
    if not list(folder.glob("*.dsc")):
        work = shelf("apt")
        _turn_to_sources(work / "parts")
        _apt(work, "update", folder=folder)
        refused = _apt(work, "source", "--download-only", f"{package}={version}", folder=folder)
        if not list(folder.glob("*.dsc")):
            shutil.rmtree(folder)
            raise NoSource(f"apt has no source of {package} {version}: {refused}")
    return folder


def _turn_to_sources(parts: Path) -> None:
    """Write the machine's package sources as sources of source packages."""
    parts.mkdir(parents=True, exist_ok=True)
    for file in (_MACHINES / "sources.list", *(_MACHINES / "sources.list.d").glob("*")):
        if file.suffix in (".list", ".sources") and file.is_file():
            turned = _LINE.sub("deb-src", _TYPES.sub("Types: deb-src", file.read_text()))
            (parts / file.name).write_text(turned)


def _apt(work: Path, *words: str, folder: Path) -> str:
    """Run apt-get; what it complains of. Other people's sources often have no source packages, which is no matter."""
    for part in ("state/lists/partial", "cache/archives/partial"):
        (work / part).mkdir(parents=True, exist_ok=True)
    options = {
        "Dir::State": work / "state",
        "Dir::State::Lists": work / "state/lists",
        "Dir::State::status": "/var/lib/dpkg/status",
        "Dir::Cache": work / "cache",
        "Dir::Etc::sourcelist": "/dev/null",
        "Dir::Etc::sourceparts": work / "parts",
        "APT::Sandbox::User": "",
    }
    told = [word for key, value in options.items() for word in ("-o", f"{key}={value}")]
    done = subprocess.run(
        ["apt-get", "-q", *told, *words], cwd=folder, capture_output=True, text=True, timeout=600, check=False
    )
    return " ".join(line for line in done.stderr.splitlines() if line.startswith("E:"))


def _said(*words: str) -> str:
    return subprocess.run(words, capture_output=True, text=True, timeout=30, check=False).stdout


def run(words: Sequence[str], folder: Path) -> str:
    """Run a tool to its end; what it said. Raises NoSource where it failed."""
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, timeout=600, check=False)
    if done.returncode:
        raise NoSource(f"{' '.join(words[:3])}: {(done.stderr or done.stdout).strip()[-800:]}")
    return done.stdout
