"""The kernel's modules: which ones a guest gets, and the tables modprobe reads."""

import lzma
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import libarchive

from qemunet_tests.errors import HarnessError
from qemunet_tests.images.elf import ModuleFacts, module_facts

IMAGES = ("boot/vmlinuz-*", "lib/modules/*/vmlinuz", "usr/lib/modules/*/vmlinuz")
MODULE_FOLDERS = ("lib/modules/*", "usr/lib/modules/*")
# Most of a kernel package's size, and nothing a guest here could use.
NEEDLESS = ("/sound/", "/drivers/gpu/", "/drivers/media/", "/drivers/staging/", "/drivers/iio/", "/wireless/",
            "/drivers/infiniband/", "/drivers/scsi/", "/drivers/hid/", "/share/doc/", "/drivers/usb/atm/",
            "/drivers/usb/class/", "/drivers/usb/gadget/", "/drivers/usb/misc/", "/drivers/usb/serial/",
            "/drivers/usb/storage/")  # fmt: skip


@dataclass(frozen=True)
class Kernel:
    """An unpacked kernel package."""

    version: str
    bzimage: Path
    modules: Path


@dataclass(frozen=True)
class Module:
    name: str
    file: Path
    facts: ModuleFacts


def find_kernel(root: Path) -> Kernel:
    """Raises HarnessError unless the packages below `root` hold exactly one kernel."""
    images = [file for pattern in IMAGES for file in root.glob(pattern)]
    folders = [folder for pattern in MODULE_FOLDERS for folder in root.glob(pattern)]
    if len(images) != 1 or len(folders) != 1:
        raise HarnessError(f"the kernel packages hold {len(images)} kernels and {len(folders)} module folders")
    return Kernel(folders[0].name, images[0], folders[0])


def is_wanted(path: str) -> bool:
    """Whether a file of a kernel package is worth unpacking."""
    return not any(part in f"/{path}" for part in NEEDLESS)


def select(kernel: Kernel, wanted: Iterable[str]) -> list[Module]:
    """The modules named and all they depend on, each after its dependencies.

    Of names that are joined by `|` the first that there is. Raises HarnessError where none is a module or built in.
    """
    files = {_plain(path.name): path for path in kernel.modules.rglob("*.ko*") if path.is_file()}
    listed = kernel.modules / "modules.builtin"
    if not listed.is_file():
        raise HarnessError(f"the kernel packages do not say what is built in: there is no {listed.name}")
    builtin = {_plain(Path(line).name) for line in listed.read_text().split()}
    chosen: dict[str, Module] = {}
    for name in wanted:
        offered = [_plain(each) for each in name.split("|")]
        there = next((each for each in offered if each in files or each in builtin), None)
        if there is None:
            raise HarnessError(f"the kernel package has no module {name.replace('|', ' or ')}")
        _add(there, files, builtin, chosen)
    return list(chosen.values())


def _add(name: str, files: dict[str, Path], builtin: set[str], chosen: dict[str, Module]) -> None:
    if name in chosen or name in builtin:
        return
    if name not in files:
        raise HarnessError(f"the kernel package has no module {name}")
    file = _decompressed(files[name])
    facts = module_facts(file)
    for dependency in facts.depends:
        _add(_plain(dependency), files, builtin, chosen)
    chosen[name] = Module(name, file, facts)


def _plain(name: str) -> str:
    """The kernel takes `-` and `_` in a module's name for the same."""
    return name.partition(".ko")[0].replace("-", "_")


def _decompressed(file: Path) -> Path:
    if file.suffix == ".ko":
        return file
    plain = file.with_suffix("")
    if not plain.exists():
        plain.write_bytes(lzma.decompress(file.read_bytes()) if file.suffix == ".xz" else _raw(file))
    return plain


def _raw(file: Path) -> bytes:
    with libarchive.file_reader(str(file), format_name="raw") as archive:
        for entry in archive:
            return b"".join(entry.get_blocks())
    raise HarnessError(f"{file.name} cannot be decompressed")


SIGNED = b"~Module signature appended~\n"
SIGNATURE_INFO_BYTES = 12


def unsigned(module: bytes) -> bytes:
    """Without the appended signature, whose check costs every boot time and proves nothing here."""
    if not module.endswith(SIGNED):
        return module
    info_end = len(module) - len(SIGNED)
    signature_bytes = int.from_bytes(module[info_end - 4 : info_end], "big")
    return module[: info_end - SIGNATURE_INFO_BYTES - signature_bytes]


def tables(modules: list[Module]) -> dict[str, str]:
    """modules.dep and modules.alias, as modprobe wants them."""
    by_name = {module.name: module for module in modules}
    dep = [f"{_file(module)}: {' '.join(_chain(module, by_name))}".rstrip() for module in modules]
    alias = [f"alias {pattern} {module.name}" for module in modules for pattern in module.facts.aliases]
    return {"modules.dep": "\n".join(dep) + "\n", "modules.alias": "\n".join(alias) + "\n"}


def _file(module: Module) -> str:
    return f"kernel/{module.file.name}"


def _chain(module: Module, by_name: dict[str, Module]) -> list[str]:
    """Dependencies nearest first, which is the order depmod writes and modprobe loads from the end."""
    ordered: dict[str, None] = {}
    for name in map(_plain, module.facts.depends):
        if name in by_name:
            ordered[_file(by_name[name])] = None
            for further in _chain(by_name[name], by_name):
                ordered.pop(further, None)
                ordered[further] = None
    return list(ordered)
