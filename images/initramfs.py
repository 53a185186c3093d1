"""Writing the guest's root file system: a compressed cpio archive that the kernel unpacks into memory."""

import errno
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import libarchive
from libarchive.entry import FileType

# Empty ones included, which the guest mounts or writes into.
FOLDERS = ("bin", "dev", "etc/dropbear", "lib", "mnt", "proc", "root/.ssh", "run/qemunet", "sys", "tmp", "usr",
           "var/log", "var/run")  # fmt: skip
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
        inside = [PurePosixPath(folder, "anything") for folder in FOLDERS] + [
            PurePosixPath(path) for path in self.files
        ]
        return sorted({str(parent) for path in inside for parent in path.parents} - {"."})

    def write(self, target: Path, compression: str | None) -> None:
        """Same content, same bytes: no times, no owners, no links (their numbers would differ), sorted.

        Raises OSError.
        """
        options = "gzip:!timestamp" if compression == "gzip" else ""
        try:
            with libarchive.file_writer(str(target), "cpio_newc", compression, options=options) as archive:
                for folder in self._folders():
                    _add(archive, folder, b"", FileType.DIRECTORY, 0o700 if folder in PRIVATE else 0o755)
                for path, (content, mode) in sorted(self.files.items()):
                    _add(archive, path, content, FileType.REGULAR_FILE, mode)
        except libarchive.ArchiveError as failed:
            raise OSError(failed.errno or errno.EIO, str(failed)) from failed


def _add(archive: Any, path: str, content: bytes, kind: FileType, mode: int) -> None:
    archive.add_file_from_memory(path, len(content), content, kind, mode, uid=0, gid=0, mtime=(0, 0))


def contents(initrd: Path) -> dict[str, tuple[bytes, int]]:
    """The files of an initramfs: content and mode."""
    with libarchive.file_reader(str(initrd)) as archive:
        return {entry.pathname: (b"".join(entry.get_blocks()), entry.mode) for entry in archive if entry.isfile}
