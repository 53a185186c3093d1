"""Reading package files: a .deb is an `ar` that holds a compressed tar."""

import shutil
from collections.abc import Callable
from pathlib import Path, PurePosixPath

import libarchive

from qemunet_tests.errors import HarnessError


def unpack(package: Path, into: Path, wanted: Callable[[str], bool] = lambda _path: True) -> list[Path]:
    """Lay out a package's files under `into`, without owners, scripts, devices or anything outside it.

    Returns the files and links that were laid out. Raises HarnessError for a file that is not a package.
    """
    try:
        return _unpack_tar(_data_of(package), into, wanted)
    except libarchive.ArchiveError as wrong:
        raise HarnessError(f"{package.name} cannot be unpacked: {wrong}") from wrong


def _data_of(package: Path) -> bytes:
    with libarchive.file_reader(str(package)) as outer:
        for member in outer:
            if member.pathname.startswith("data.tar"):
                return b"".join(member.get_blocks())
    raise HarnessError(f"{package.name} is not a package: it holds no data.tar")


def _unpack_tar(data: bytes, into: Path, wanted: Callable[[str], bool]) -> list[Path]:
    laid_out: list[Path] = []
    with libarchive.memory_reader(data) as archive:
        for entry in archive:
            inner = PurePosixPath("/", entry.pathname).relative_to("/")
            if ".." in inner.parts or entry.isdir or not wanted(str(inner)):
                continue
            place = into / inner
            place.parent.mkdir(parents=True, exist_ok=True)
            if entry.issym:
                place.unlink(missing_ok=True)
                place.symlink_to(entry.linkname)
            elif entry.islnk:
                shutil.copyfile(into / PurePosixPath("/", entry.linkname).relative_to("/"), place)
            elif entry.isfile:
                with place.open("wb") as out:
                    for block in entry.get_blocks():
                        out.write(block)
            laid_out.append(place)
    return laid_out


def find_file(root: Path, names: tuple[str, ...], folders: tuple[str, ...]) -> Path | None:
    """The first of `names` in one of `folders` below `root`, links inside `root` followed."""
    for name in names:
        for folder in folders:
            found = follow(root, root / folder / name)
            if found is not None:
                return found
    return None


def follow(root: Path, path: Path, depth: int = 0) -> Path | None:
    """The file a link leads to when `root` is taken for `/`; None if it leads nowhere."""
    if not path.is_symlink():
        return path if path.is_file() else None
    if depth > 16:
        return None
    target = path.readlink()
    base = root / target.relative_to("/") if target.is_absolute() else path.parent / target
    return follow(root, base, depth + 1)
