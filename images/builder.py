"""Making a guest image out of packages."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from qemunet_tests.errors import HarnessError
from qemunet_tests.images import disk, initramfs, kernel, libraries, vmlinux
from qemunet_tests.images.apt import Apt, Package
from qemunet_tests.images.busybox import without_applets
from qemunet_tests.images.distribution import Distribution
from qemunet_tests.images.elf import dynamic
from qemunet_tests.images.packages import find_file, unpack
from qemunet_tests.images.progress import Progress
from qemunet_tests.images.recipes import Recipe
from qemunet_tests.qemu.built_image import Image

PROGRAM_FOLDERS = ("bin", "sbin", "usr/bin", "usr/sbin")
# Measured under TCG until the guest is ready: none 3.0 s, lz4 3.1 s, gzip 3.75 s, zstd 3.9 s.
DIRECT_COMPRESSION = None
# The BIOS reads a disk slowly, so here size counts.
DISK_COMPRESSION = "gzip"


@dataclass(frozen=True)
class Roots:
    """The packages that a recipe names itself; what they depend on is found while building."""

    kernel: tuple[Package, ...]
    programs: tuple[Package, ...]

    def names(self) -> set[str]:
        return {package.name for package in (*self.kernel, *self.programs)}


def resolve(apt: Apt, distribution: Distribution) -> Roots:
    """Ask apt which kernel is current, and which version of everything else."""
    return Roots(
        tuple(_kernel_packages(apt, distribution)),
        tuple(sorted(apt.candidates(distribution.programs).values())),
    )


def _kernel_packages(apt: Apt, distribution: Distribution) -> list[Package]:
    waiting, seen = list(distribution.kernel), dict[str, Package]()
    while waiting:
        for package in apt.candidates(waiting).values():
            seen[package.name] = package
        waiting = [
            name
            for package in seen.values()
            for name in package.depends
            if name not in seen and re.fullmatch(distribution.follow, name)
        ]
    real = [package for package in seen.values() if re.fullmatch(distribution.follow, package.name)]
    if not real:
        raise HarnessError(f"{', '.join(distribution.kernel)} leads to no kernel package")
    return sorted(real)


def build(recipe: Recipe, roots: Roots, apt: Apt, folder: Path, work: Path, progress: Progress) -> list[Package]:
    """Write kernel, initramfs and disk into `folder`; returns every package that went in."""
    root = work / "root"
    megabytes = sum(one.size_bytes for one in (*roots.kernel, *roots.programs)) / 1e6
    progress.step(f"downloading packages ({megabytes:.0f} MB)", 0.05)
    files = apt.download([*roots.kernel, *roots.programs])
    progress.step("unpacking the kernel", 0.3)
    for package in roots.kernel:
        unpack(files[package.name], root, kernel.is_wanted)
    progress.step("unpacking programs", 0.6)
    for package in roots.programs:
        unpack(files[package.name], root)
    programs = _programs(recipe, root)
    progress.step("finding libraries", 0.65)
    found, fetched = libraries.fetch(apt, root, programs.values(), recipe.extra_libraries, roots.programs)
    linux = kernel.find_kernel(root)
    progress.step("writing the initramfs", 0.75)
    drivers = recipe.guest.drivers
    tree = _tree(recipe, linux, (*drivers, *recipe.guest.pluggable_drivers, *recipe.modules), programs, found)
    image = Image(recipe.name, "", folder, recipe.guest)
    tree.write(image.initrd, DIRECT_COMPRESSION)
    image.kernel.write_bytes(vmlinux.bootable(linux.bzimage))
    progress.step("writing the disk", 0.9)
    small = {name: programs[name] for name in recipe.disk_programs}
    needed, _ = libraries.closure(root, small.values(), ())
    _tree(recipe, linux, drivers, small, needed).write(image.small_initrd, DISK_COMPRESSION)
    disk.write_disk(image.vdisk, linux.bzimage, image.small_initrd, recipe.disk_mb, recipe.guest.cmdline)
    return sorted([*roots.kernel, *roots.programs, *fetched])


def _programs(recipe: Recipe, root: Path) -> dict[str, Path]:
    found = {name: find_file(root, names, PROGRAM_FOLDERS) for name, names in recipe.programs.items()}
    if missing := [name for name, file in found.items() if file is None]:
        raise HarnessError(f"the packages hold no program {', '.join(missing)}")
    return {name: file for name, file in found.items() if file is not None}


def _tree(
    recipe: Recipe, linux: kernel.Kernel, names: Sequence[str], programs: dict[str, Path], found: dict[str, Path]
) -> initramfs.Tree:
    """The guest's files with the modules called `names`, and what these depend on."""
    tree = initramfs.Tree()
    tree.add_ours(recipe.guest_files())
    for name, file in programs.items():
        tree.add_program(f"bin/{name}", file)
    busybox = programs["busybox"].read_bytes()
    tree.add("bin/busybox", without_applets(busybox, programs.keys() - {"busybox"}), 0o755)
    for soname, file in found.items():
        tree.add_program(f"lib/{soname}", file)
    for interpreter in {dynamic(file).interpreter for file in programs.values()} - {None}:
        loader = PurePosixPath(str(interpreter))
        if loader.name not in found:
            raise HarnessError(f"no package brings the loader {loader}")
        tree.add_program(str(loader.relative_to("/")), found[loader.name])
    modules = kernel.select(linux, names)
    place = f"lib/modules/{linux.version}"
    for module in modules:
        tree.add(f"{place}/kernel/{module.file.name}", kernel.unsigned(module.file.read_bytes()), 0o644)
    for name, text in kernel.tables(modules).items():
        tree.add(f"{place}/{name}", text.encode(), 0o644)
    return tree
