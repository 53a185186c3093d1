"""Writing the guest's root file system: a compressed cpio archive that the kernel unpacks into memory."""

from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import libarchive
from libarchive.entry import FileType

FOLDERS = ("bin", "dev", "etc", "etc/dropbear", "lib", "proc", "root", "root/.ssh", "run", "run/qemunet",
           "sys", "tmp", "usr", "var", "var/log", "mnt")  # fmt: skip
# One folder for programs and one for libraries, under every name they are looked for.
LINKS = {"sbin": "bin", "lib64": "lib", "usr/bin": "../bin", "usr/sbin": "../bin", "usr/lib": "../lib",
         "var/run": "../run", "bin/sh": "busybox", "etc/mtab": "../proc/mounts"}  # fmt: skip
PRIVATE = ("root", "root/.ssh")


class Tree:
    """What the guest finds under `/`. Paths have no leading slash."""

    def __init__(self) -> None:
        self.files: dict[str, tuple[bytes, int]] = {}

    def add(self, path: str, content: bytes, mode: int) -> None:
        self.files[path] = (content, mode)

    def add_ours(self, files: Mapping[str, Path]) -> None:
        """Scripts are known by their first line: a wheel does not keep modes for certain."""
        for path, file in files.items():
            content = file.read_bytes()
            self.add(path, content, 0o755 if content.startswith(b"#!") else 0o644)

    def add_program(self, path: str, file: Path) -> None:
        self.add(path, file.read_bytes(), 0o755)

    def _folders(self) -> list[str]:
        wanted = set(FOLDERS)
        for path in self.files:
            wanted |= {str(parent) for parent in Path(path).parents} - {"."}
        return sorted(wanted - set(LINKS))

    def write(self, target: Path, compression: str | None) -> None:
        """Same content, same bytes: no times, no owners, sorted."""
        with (
            TemporaryDirectory(dir=target.parent) as links,
            libarchive.file_writer(str(target), "cpio_newc", compression) as archive,
        ):
            for folder in self._folders():
                _add(archive, folder, b"", FileType.DIRECTORY, 0o700 if folder in PRIVATE else 0o755)
            for number, (path, goal) in enumerate(sorted(LINKS.items())):
                # libarchive-c makes hard links of links from memory, so these come from a folder.
                link = Path(links) / str(number)
                link.symlink_to(goal)
                archive.add_file(str(link), pathname=path, recursive=False, uid=0, gid=0, mtime=(0, 0))
            for path, (content, mode) in sorted(self.files.items()):
                _add(archive, path, content, FileType.REGULAR_FILE, mode)


def _add(archive: Any, path: str, content: bytes, kind: FileType, mode: int) -> None:
    archive.add_file_from_memory(path, len(content), content, kind, mode, uid=0, gid=0, mtime=(0, 0))


def contents(initrd: Path) -> dict[str, tuple[bytes, int]]:
    """Regular files and links of an initramfs: content (or a link's target) and type with mode."""
    found: dict[str, tuple[bytes, int]] = {}
    with libarchive.file_reader(str(initrd)) as archive:
        for entry in archive:
            if entry.issym:
                found[entry.pathname] = (entry.linkname.encode(), entry.mode)
            elif entry.isfile:
                found[entry.pathname] = (b"".join(entry.get_blocks()), entry.mode)
    return found
