"""What a program or a shared library says about itself in its file, which is not executed for it."""

import sys
from dataclasses import dataclass
from pathlib import Path

from elftools.common.exceptions import ELFError
from elftools.elf.elffile import ELFFile
from elftools.elf.sections import NoteSection, SymbolTableSection


@dataclass(frozen=True)
class ElfFile:
    """`kind` and `machine` are ELF's own words for them, `build_id` the linker's number of this very build."""

    kind: str
    machine: str
    bits: int
    build_id: str | None
    exports: frozenset[str]


def read(file: Path) -> ElfFile | None:
    """None for a file of another kind. Raises OSError."""
    try:
        with file.open("rb") as stream:
            elf = ELFFile(stream)
            return ElfFile(elf["e_type"], elf["e_machine"], elf.elfclass, _build_id(elf), _exports(elf))
    except (ELFError, ValueError, UnicodeDecodeError, KeyError, AttributeError):
        # The last four are what pyelftools makes of damage that it does not expect.
        return None


def is_for_this_machine(found: ElfFile) -> bool:
    """Whether it is for the processor that the Python that runs this is for. Raises OSError."""
    ours = read(Path(sys.executable).resolve())
    return ours is None or (found.machine, found.bits) == (ours.machine, ours.bits)


def _build_id(elf: ELFFile) -> str | None:
    for section in elf.iter_sections():
        if isinstance(section, NoteSection):
            for note in section.iter_notes():
                if note["n_type"] == "NT_GNU_BUILD_ID":
                    return str(note["n_desc"])
    return None


def _exports(elf: ELFFile) -> frozenset[str]:
    symbols = elf.get_section_by_name(".dynsym")
    if not isinstance(symbols, SymbolTableSection):
        return frozenset()
    return frozenset(each.name for each in symbols.iter_symbols() if each["st_shndx"] != "SHN_UNDEF")
