"""Carrying a built image to a host that cannot build one."""

import contextlib
import os
import re
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from pydantic import ValidationError

from qemunet_tests import named_file, named_folder, trust
from qemunet_tests.errors import Unavailable, UsageError
from qemunet_tests.images import image_cache
from qemunet_tests.images import manifest as manifests
from qemunet_tests.images.manifest import Manifest
from qemunet_tests.images.tools import GET_LIBARCHIVE
from qemunet_tests.qemu.built_image import Image

#: Several times an image. Whatever is larger would fill a disk before it turned out to be none.
LIMIT_BYTES = 512 << 20


def export(name: str, file: Path) -> Path:
    """Write the image `name` into one file, a zstd-compressed tar with checksums.

    Raises UsageError where there is no such image or the file cannot be written; no half file is left.
    """
    image = image_cache.find(image_cache.require(name))
    if image is None:
        raise UsageError(f"there is no built guest image {name!r} of this version: run `qemunet image build` first")
    try:
        with _replacing(file) as descriptor:
            _write(descriptor, image)
    except (OSError, _archive_error()) as refused:
        raise UsageError(f"{file} cannot be written: {refused}") from refused
    return file


@contextlib.contextmanager
def _replacing(file: Path) -> Iterator[int]:
    """A new file that gets its name when all is written; whoever owns the folder has no say in what is written."""
    folder = named_folder.descriptor_of(file.parent)
    # A name that nobody can foresee.
    half = f".{file.name}-{secrets.token_hex(8)}"
    try:
        descriptor = os.open(half, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600, dir_fd=folder)
        try:
            yield descriptor
            os.fchmod(descriptor, 0o644)
            os.replace(half, file.name, src_dir_fd=folder, dst_dir_fd=folder)
        finally:
            os.close(descriptor)
            with contextlib.suppress(FileNotFoundError):
                os.unlink(half, dir_fd=folder)
    finally:
        os.close(folder)


def sources(name: str) -> list[str]:
    """The source packages of an image's programs, with versions; of one that does not say, the packages themselves."""
    image = image_cache.find(name)
    said = manifests.read(image.folder) if image else None
    used = said.packages if said else ()
    return list(dict.fromkeys(each.source or f"{each.name} {each.version}" for each in used))


def import_(file: Path, name: str | None = None) -> Image:
    """Verify an exported image and put it beside the built ones, where `ensure` finds it: by its own name, or `name`.

    Raises UsageError for a file that is damaged, foreign, or of another version of qemunet; nothing is left of it.
    """
    if name and not re.match(manifests.NAME, name):
        raise UsageError(f"{name!r} cannot be the name of a guest image")
    if file.exists() and not file.is_file():
        raise UsageError(f"{file} is no regular file")
    if not file.exists():
        raise UsageError(f"there is no file {file}")
    if not os.access(file, os.R_OK):
        raise UsageError(f"{file} cannot be read by this user")
    place = image_cache.own_shelf()
    with image_cache.locked(place), image_cache.unfinished(place) as folder:
        try:
            said = _unpack(file, folder, name)
        except _archive_error() as wrong:
            # Its text has addresses in memory as well.
            why = getattr(wrong, "msg", None) or wrong
            raise UsageError(f"{file} is damaged, or no exported guest image: {why}") from wrong
        except OSError as failed:
            raise image_cache.unwritable(failed) from failed
        if damaged := said.damaged(folder):
            raise UsageError(f"{file} is damaged: {', '.join(damaged)} is not what was exported")
        return image_cache.publish(folder, said, imported=True)


def _library() -> Any:
    """Only what packs and unpacks needs it, and it may be missing."""
    try:
        import libarchive
    except (OSError, AttributeError) as missing:
        raise Unavailable("libarchive is not installed", GET_LIBARCHIVE) from missing
    return libarchive


def _archive_error() -> type[Exception]:
    error: type[Exception] = _library().ArchiveError
    return error


def _write(descriptor: int, image: Image) -> None:
    with _library().fd_writer(descriptor, "ustar", "zstd") as archive:
        for name in (manifests.FILE, *manifests.CONTENT):
            source = image.folder / name
            archive.add_file_from_memory(name, source.stat().st_size, _blocks(source), permission=0o644, mtime=(0, 0))


def _blocks(file: Path) -> Iterator[bytes]:
    with trust.opened(file) as stream:
        while block := stream.read(1 << 20):
            yield block


def _opened(file: Path) -> IO[bytes]:
    """What was looked at by its name may have become a link of a stranger's, or be gone."""
    try:
        return named_file.to_read(file)
    except OSError as refused:
        raise UsageError(f"{file} cannot be read: {refused.strerror}") from refused


def _unpack(file: Path, folder: Path, name: str | None) -> Manifest:
    """The manifest comes first and says which files may follow, each once, and how large each is."""
    said: Manifest | None = None
    with _opened(file) as stream, _library().fd_reader(stream.fileno(), "tar", "zstd") as archive:
        for entry in archive:
            if said is None:
                said = _named(file, _manifest(file, entry), name)
            elif not (entry.isfile and entry.pathname in said.files) or (folder / entry.pathname).exists():
                raise UsageError(f"{file} is no exported guest image: {entry.pathname} does not belong there")
            elif not _fits(entry, folder / entry.pathname, said.files[entry.pathname].size):
                raise UsageError(f"{file} is damaged: {entry.pathname} is not what was exported")
    if said is None:
        raise UsageError(f"{file} is no exported guest image: it is empty")
    return said


def _fits(entry: Any, place: Path, limit_bytes: int) -> bool:
    """Write a file out. One that is larger than was announced is not read to its end, which may be far away."""
    room_bytes = limit_bytes
    with place.open("xb") as out:
        for block in entry.get_blocks():
            room_bytes -= len(block)
            if room_bytes < 0:
                return False
            out.write(block)
    return True


def _manifest(file: Path, entry: Any) -> Manifest:
    if entry.pathname != manifests.FILE or not entry.isfile or not 0 < entry.size <= manifests.LIMIT_BYTES:
        raise UsageError(f"{file} is no exported guest image")
    try:
        said = Manifest.model_validate_json(b"".join(entry.get_blocks()))
    except ValidationError as wrong:
        raise UsageError(f"{file} is damaged, or of another version of qemunet: its manifest is wrong") from wrong
    if not said.consistent:
        raise UsageError(f"{file} is damaged: its manifest contradicts itself")
    if sum(one.size for one in said.files.values()) > LIMIT_BYTES:
        raise UsageError(f"{file} is no exported guest image: it says that it is larger than {LIMIT_BYTES >> 20} MiB")
    return said


def _named(file: Path, said: Manifest, name: str | None) -> Manifest:
    """The manifest of what is to be called `name`. An image that says all of itself is of no version of qemunet, but a
    name that there is a recipe for means what that makes."""
    renamed = said.model_copy(update={"name": name or said.name})
    if said.guest is None:
        raise UsageError(f"{file} was made by another version of qemunet: export it again with this one")
    if image_cache.asked_digest(renamed.name) not in (None, said.recipe_digest):
        raise UsageError(
            f"{file} was made by another version of qemunet: export it again with this one, or give it a name of its "
            "own: qemunet image import --name NAME FILE"
        )
    return renamed
