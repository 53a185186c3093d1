"""Building libslirp and the bridge helper, unmodified and with one file edited, which is compiled and linked anew."""

import json
import shlex
import shutil
import tarfile
from dataclasses import dataclass
from pathlib import Path

from meta_tests.mutants.debian_sources import NoSource, fetched, run, shelf

_HEADERS = Path(__file__).parent / "helper_headers"
_HELPER = "qemu-bridge-helper.c"
#: What of QEMU's source the helper is compiled from; all else of it stays in the archive.
_OF_QEMU = (_HELPER, "include/qemu/queue.h", "net/tap-linux.h")


@dataclass(frozen=True)
class LibslirpTree:
    """A libslirp that was built once, in `build`, from `source`."""

    version: str
    source: Path
    build: Path

    def file(self, name: str) -> Path:
        """A source file by its name."""
        return self.source / "src" / name

    @property
    def unmodified(self) -> Path:
        """The library as it is without an edit."""
        return self.build / self._library

    def built_with(self, name: str, text: str, folder: Path) -> Path:
        """The library with another text of one file, made in `folder`. Raises NoSource where it does not compile."""
        (folder / name).write_text(text)
        commands = json.loads((self.build / "compile_commands.json").read_text())
        compiling = next(
            each for each in commands if each["file"].endswith(f"/src/{name}") and self._library in each["output"]
        )
        words = shlex.split(compiling["command"])
        words[words.index("-o") + 1] = str(folder / "edited.o")
        words[words.index("-c") + 1] = str(folder / name)
        run([*words, "-iquote", str(self.source / "src"), "-w"], self.build)
        link = [str(folder / "edited.o") if word == compiling["output"] else word for word in self._linking()]
        made = folder / self._library
        link[link.index("-o") + 1] = str(made)
        run(link, self.build)
        return made

    @property
    def _library(self) -> str:
        return next(each.name for each in self.build.glob("libslirp.so.0.*") if each.suffix != ".p")

    def _linking(self) -> list[str]:
        return shlex.split(run(["ninja", "-t", "commands", self._library], self.build).strip().splitlines()[-1])


def libslirp(package: str, version: str) -> LibslirpTree:
    """The source of this version, unpacked and built, kept for the next time. Raises NoSource."""
    base = shelf(f"builds/{package}_{version.replace(':', '%')}")
    source, build = base / "source", base / "build"
    if not list(build.glob("libslirp.so.0.*")):
        shutil.rmtree(base)
        base.mkdir()
        described = next(fetched(package, version).glob("*.dsc"))
        run(["dpkg-source", "--no-check", "-x", str(described), str(source)], base)
        run(["meson", "setup", "--buildtype=plain", "-Dc_args=-O1", str(build), str(source)], base)
        run(["ninja", "-C", str(build)], base)
    return LibslirpTree(version, source, build)


@dataclass(frozen=True)
class HelperTree:
    """The few files of QEMU that the bridge helper is made of."""

    version: str
    source: Path

    def file(self, name: str) -> Path:
        """A source file by its name."""
        return self.source / name

    @property
    def unmodified(self) -> Path:
        """The helper as it is without an edit."""
        made = self.source / "unmodified/qemu-bridge-helper"
        if not made.exists():
            made.parent.mkdir(exist_ok=True)
            self.built_with(_HELPER, self.file(_HELPER).read_text(), made.parent)
        return made

    def built_with(self, name: str, text: str, folder: Path) -> Path:
        """The helper with another text, made in `folder`. Raises NoSource where it does not compile."""
        (folder / name).write_text(text)
        made = folder / "qemu-bridge-helper"
        glib = shlex.split(run(["pkg-config", "--cflags", "--libs", "glib-2.0", "libcap-ng"], folder))
        includes = [f"-I{each}" for each in (_HEADERS, self.source, self.source / "include")]
        run(["cc", "-O1", "-w", "-D_GNU_SOURCE", *includes, name, "-o", str(made), *glib], folder)
        return made


def helper(package: str, version: str) -> HelperTree:
    """The helper's source as this version of Debian's QEMU has it, kept for the next time. Raises NoSource."""
    folder = shelf(f"builds/{package}_{version.replace(':', '%')}")
    if not all((folder / name).is_file() for name in _OF_QEMU):
        files = fetched(package, version)
        _unpack(next(files.glob("*.orig.tar.*")), folder)
        _patch(files, folder)
    return HelperTree(version, folder)


def _unpack(archive: Path, folder: Path) -> None:
    wanted = set(_OF_QEMU)
    with tarfile.open(archive) as opened:
        for member in opened:
            name = member.name.removeprefix("./").partition("/")[2]
            if name in wanted and (stream := opened.extractfile(member)):
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                (folder / name).write_bytes(stream.read())
                wanted.remove(name)
            if not wanted:
                return
    raise NoSource(f"{archive.name} has no {', '.join(sorted(wanted))}")


def _patch(files: Path, folder: Path) -> None:
    """Debian's own changes, as far as they are about these files."""
    for archive in files.glob("*.debian.tar.*"):
        run(["tar", "-xf", str(archive), "debian/patches"], folder)
    series = folder / "debian/patches/series"
    for line in series.read_text().splitlines() if series.exists() else ():
        if line.strip() and not line.startswith("#"):
            patch = series.with_name(line.split()[0])
            if any(f" b/{name}\n" in patch.read_text(errors="replace") for name in _OF_QEMU):
                includes = [f"--include={name}" for name in _OF_QEMU]
                run(["git", "apply", *includes, str(patch)], folder)
