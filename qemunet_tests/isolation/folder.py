"""A folder held open by its descriptor: what is made, replaced and removed in it is in it, whoever else may write.

A name in a folder that another user may write to can be a link by the time it is used, so that root overwrites, reads
or removes a file of his own choice. Nothing here follows a link below the folder that was opened.
"""

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from qemunet_tests import named_file, named_folder

#: Of what is copied from somebody who may not be believed: a guest that floods its console fills no disk.
MOST_BYTES = 64 << 20
MOST_FILES = 1000
#: In the copy: what was not copied, and why.
LEFT_OUT = "left-out.txt"
_CHUNK_BYTES = 1 << 20
#: Each level of what is removed holds a descriptor.
_DEEPEST = 100
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class Folder:
    """`path` is what the folder is called; it is not used again. Raises OSError wherever the system does."""

    def __init__(self, descriptor: int, path: Path) -> None:
        self.descriptor = descriptor
        self.path = path

    @contextlib.contextmanager
    def sub(self, name: str) -> Iterator["Folder"]:
        """A folder in this one, made if it is not there."""
        with contextlib.suppress(FileExistsError):
            os.mkdir(name, 0o755, dir_fd=self.descriptor)
        descriptor = os.open(name, _FOLDER, dir_fd=self.descriptor)
        try:
            yield Folder(descriptor, self.path / name)
        finally:
            os.close(descriptor)

    def remove(self, name: str) -> None:
        """Remove a file, a link itself, or a folder with all that is in it; what is not there is no error."""
        _remove(name, self.descriptor, _DEEPEST)

    def create(self, name: str) -> IO[bytes]:
        """A new file that nobody had a hand in. Raises FileExistsError."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        return os.fdopen(os.open(name, flags, 0o644, dir_fd=self.descriptor), "wb")

    def names(self) -> list[str]:
        """What is in it, in order."""
        return sorted(os.listdir(self.descriptor))  # noqa: PTH208  (Path knows no descriptors)

    def read(self, name: str, most_bytes: int = MOST_BYTES) -> bytes:
        """The beginning of a regular file. Raises FileNotFoundError for anything else."""
        # Without waiting: it may be a FIFO.
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        with os.fdopen(os.open(name, flags, dir_fd=self.descriptor), "rb") as stream:
            if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
                raise FileNotFoundError(errno.ENOENT, "no regular file", name)
            return named_file.beginning(stream, most_bytes)

    def move(self, name: str, target: "Folder", new_name: str | None = None) -> None:
        """Move something to another folder, if it is there, under the same name or a new one."""
        with contextlib.suppress(FileNotFoundError):
            os.rename(name, new_name or name, src_dir_fd=self.descriptor, dst_dir_fd=target.descriptor)

    def write_whole(self, name: str, content: bytes, mode: int = 0o644) -> Path:
        """Write a file so that a reader never sees half of it."""
        with self.replacing(name, mode) as stream:
            stream.write(content)
        return self.path / name

    @contextlib.contextmanager
    def replacing(self, name: str, mode: int = 0o644) -> Iterator[IO[bytes]]:
        """A new file that gets its name when all is written; until then, and where that fails, what was there stays."""
        unfinished = f".{name}-{os.getpid()}"
        self.remove(unfinished)
        try:
            with self.create(unfinished) as stream:
                yield stream
                os.fchmod(stream.fileno(), mode)
            os.replace(unfinished, name, src_dir_fd=self.descriptor, dst_dir_fd=self.descriptor)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(unfinished, dir_fd=self.descriptor)
            raise

    def put_before(self, name: str, content: bytes) -> None:
        """Begin a file, which may not be there, with something else."""
        rest = b""
        with contextlib.suppress(FileNotFoundError):
            rest = self.read(name)
        self.write_whole(name, content + rest)

    def copy_from(self, source: Path, most_bytes: int = MOST_BYTES) -> None:
        """Copy what is in `source` and may be written by somebody else: regular files, no links, and not too much."""
        left_out: list[str] = []
        room = [most_bytes, MOST_FILES]
        with contextlib.ExitStack() as held:
            here = held.enter_context(_opened(source))
            self._copy(here, left_out, room)
        if left_out:
            with self.create(LEFT_OUT) as stream:
                stream.write("".join(f"{each}\n" for each in left_out).encode(errors="replace"))

    def _copy(self, source: "Folder", left_out: list[str], room: list[int]) -> None:
        for name in source.names():
            if room[1] <= 0:
                left_out.append(f"{source.path}: more than {MOST_FILES} files")
                return
            room[1] -= 1
            found = os.stat(name, dir_fd=source.descriptor, follow_symlinks=False)
            if stat.S_ISDIR(found.st_mode):
                with _opened(source.path / name, name, source.descriptor) as inner, self.sub(name) as copy:
                    copy._copy(inner, left_out, room)
            elif stat.S_ISREG(found.st_mode) and found.st_nlink == 1:
                self._copy_file(name, source, left_out, room)
            elif not stat.S_ISSOCK(found.st_mode):
                left_out.append(f"{source.path / name}: no regular file of its own")

    def _copy_file(self, name: str, source: "Folder", left_out: list[str], room: list[int]) -> None:
        # Without waiting: in the meantime it may be a FIFO.
        descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=source.descriptor)
        with os.fdopen(descriptor, "rb") as reading:
            found = os.fstat(descriptor)
            if not stat.S_ISREG(found.st_mode) or found.st_nlink != 1:
                left_out.append(f"{source.path / name}: no regular file of its own")
                return
            with self.create(name) as writing:
                while room[0] > 0 and (piece := reading.read(min(_CHUNK_BYTES, room[0]))):
                    writing.write(piece)
                    room[0] -= len(piece)
            if reading.read(1):
                left_out.append(f"{source.path / name}: cut off, it has {found.st_size} bytes")


def _remove(name: str, parent: int, levels: int) -> None:
    """Nothing is asked before it is opened: shutil.rmtree would wait at a FIFO that takes a folder's place."""
    if levels == 0:
        raise OSError(errno.ENAMETOOLONG, f"folders in it are nested more than {_DEEPEST} deep")
    with contextlib.suppress(FileNotFoundError):
        try:
            inner = os.open(name, _FOLDER, dir_fd=parent)
        except OSError as refused:
            if refused.errno not in (errno.ENOTDIR, errno.ELOOP):
                raise
            os.unlink(name, dir_fd=parent)
            return
        try:
            for each in os.listdir(inner):  # noqa: PTH208  (Path knows no descriptors)
                _remove(each, inner, levels - 1)
        finally:
            os.close(inner)
        os.rmdir(name, dir_fd=parent)


@contextlib.contextmanager
def opened(path: Path, make: bool = False) -> Iterator[Folder]:
    """The folder that a user named, made where `make` says so; on the way to it his own links and root's count."""
    descriptor = named_folder.descriptor_of(path, make)
    try:
        yield Folder(descriptor, path)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _opened(path: Path, name: str | None = None, parent: int | None = None) -> Iterator[Folder]:
    descriptor = os.open(name or path, _FOLDER, dir_fd=parent)
    try:
        yield Folder(descriptor, path)
    finally:
        os.close(descriptor)
