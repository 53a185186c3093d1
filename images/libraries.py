"""Finding every shared library a set of programs needs."""

from collections.abc import Iterable
from pathlib import Path

from qemunet_tests.errors import HarnessError
from qemunet_tests.images.apt import Apt, Package
from qemunet_tests.images.elf import dynamic
from qemunet_tests.images.packages import find_file, unpack

FOLDERS = (
    "lib/x86_64-linux-gnu", "usr/lib/x86_64-linux-gnu", "lib64", "usr/lib64", "lib", "usr/lib",
)  # fmt: skip


def closure(root: Path, programs: Iterable[Path], extra: Iterable[str]) -> tuple[dict[str, Path], set[str]]:
    """Libraries by soname, and the sonames that nothing below `root` provides."""
    found: dict[str, Path] = {}
    missing: set[str] = set()
    waiting = [name for program in programs for name in dynamic(program).needed] + list(extra)
    while waiting:
        name = waiting.pop()
        if name in found or name in missing:
            continue
        file = find_file(root, (name,), FOLDERS)
        if file is None:
            missing.add(name)
            continue
        found[name] = file
        waiting += dynamic(file).needed
    return found, missing


def fetch(
    apt: Apt, root: Path, programs: Iterable[Path], extra: Iterable[str], owners: Iterable[Package]
) -> tuple[dict[str, Path], list[Package]]:
    """Unpack what the programs' packages depend on, level by level, until every library is there.

    Returns the libraries and the packages that hold them. Raises HarnessError for a library that no dependency
    brings.
    """
    programs, extra, level = list(programs), list(extra), list(owners)
    seen = {package.name for package in level}
    owner_of: dict[Path, Package] = {}
    found, missing = closure(root, programs, extra)
    while missing:
        names = {name for package in level for name in package.depends if _holds_libraries(name)} - seen
        if not names:
            raise HarnessError(f"no dependency brings the libraries {', '.join(sorted(missing))}")
        seen |= names
        level = sorted(apt.known(names).values())
        files = apt.download(level)
        for package in level:
            laid_out = unpack(files[package.name], root, wanted=lambda path: ".so" in path)
            owner_of |= dict.fromkeys(laid_out, package)
        found, missing = closure(root, programs, extra)
    return found, sorted({owner_of[file] for file in found.values() if file in owner_of})


def _holds_libraries(package_name: str) -> bool:
    """Programs among the dependencies, perl for example, bring none that a program of ours could need."""
    return package_name.startswith(("lib", "zlib")) and not package_name.endswith("-perl")
