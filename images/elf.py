"""What a program or a kernel module says about itself, read from the file and never by running it."""

from dataclasses import dataclass, field
from pathlib import Path

from elftools.common.exceptions import ELFError
from elftools.elf.dynamic import DynamicSection
from elftools.elf.elffile import ELFFile
from elftools.elf.segments import InterpSegment


@dataclass(frozen=True)
class Dynamic:
    """`needed` are the DT_NEEDED libraries; `interpreter` is the loader's path, None in a static program."""

    needed: tuple[str, ...] = ()
    interpreter: str | None = None


@dataclass(frozen=True)
class ModuleFacts:
    """`depends` are module names, `aliases` the patterns that devices and the kernel ask for."""

    depends: tuple[str, ...] = ()
    aliases: tuple[str, ...] = field(default=())


def dynamic(file: Path) -> Dynamic:
    """Nothing is needed by a file that is no ELF file."""
    try:
        with file.open("rb") as stream:
            elf = ELFFile(stream)
            needed = tuple(
                str(getattr(tag, "needed", ""))
                for section in elf.iter_sections()
                if isinstance(section, DynamicSection)
                for tag in section.iter_tags("DT_NEEDED")
            )
            loaders = [part.get_interp_name() for part in elf.iter_segments() if isinstance(part, InterpSegment)]
    except ELFError:
        return Dynamic()
    return Dynamic(needed, loaders[0] if loaders else None)


def module_facts(file: Path) -> ModuleFacts:
    """Read from the section .modinfo, which holds `key=value` strings."""
    with file.open("rb") as stream:
        section = ELFFile(stream).get_section_by_name(".modinfo")
        words = section.data().decode(errors="replace").split("\0") if section else []
    pairs = [word.split("=", 1) for word in words if "=" in word]
    depends = [name for key, value in pairs if key == "depends" for name in value.split(",") if name]
    return ModuleFacts(tuple(depends), tuple(value for key, value in pairs if key == "alias"))
