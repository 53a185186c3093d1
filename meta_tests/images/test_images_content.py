"""The built image itself: everything that was asked for is inside, with everything that it needs."""

from functools import cache
from pathlib import Path

import pytest

from qemunet_tests import images
from qemunet_tests.images import disk, elf, manifest
from qemunet_tests.images.initramfs import contents
from qemunet_tests.images.tools import run
from qemunet_tests.qemu.built_image import Image

NICS = {"e1000", "e1000e", "8139cp", "8139too", "virtio_net", "vmxnet3"}
FOUND_BY_THE_LOADER = "lib"


@cache
def inside() -> dict[str, tuple[bytes, int]]:
    return contents(images.ensure().initrd)


@pytest.fixture
def image() -> Image:
    return images.ensure()


@pytest.fixture
def unpacked(tmp_path: Path) -> Path:
    for name, (content, _mode) in inside().items():
        place = tmp_path / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)
    return tmp_path


def modules() -> dict[str, str]:
    """Path in the guest by the module's name."""
    return {Path(path).stem.replace("-", "_"): path for path in inside() if path.endswith(".ko")}


def loading_order() -> dict[str, list[str]]:
    """From modules.dep: what modprobe loads before each module, the last name first."""
    (table,) = [content.decode() for path, (content, _mode) in inside().items() if path.endswith("/modules.dep")]
    pairs = [line.split(":") for line in table.splitlines()]
    return {Path(module).stem: [Path(one).stem for one in needed.split()] for module, needed in pairs}


def test_the_sums_are_those_of_the_files(image: Image) -> None:
    said = manifest.read(image.folder)
    assert said is not None
    assert said.damaged(image.folder) == []


def test_every_program_is_there_with_every_library(unpacked: Path) -> None:
    missing = set()
    waiting = [unpacked / "bin" / name for name in images.recipe("tiny").programs]
    seen = set()
    while waiting:
        file = waiting.pop()
        facts = elf.dynamic(file)
        if facts.interpreter:
            assert (unpacked / facts.interpreter.lstrip("/")).is_file(), f"{file.name} has no loader"
        for name in set(facts.needed) - seen:
            seen.add(name)
            library = unpacked / FOUND_BY_THE_LOADER / name
            if library.is_file():
                waiting.append(library)
            else:
                missing.add(f"{name}, which {file.name} needs")
    assert missing == set()
    assert "libc.so.6" in seen


def test_programs_and_scripts_can_be_executed() -> None:
    programs = {f"bin/{name}" for name in images.recipe("tiny").programs}
    scripts = {path for path, (content, _mode) in inside().items() if content.startswith(b"#!")}
    assert {"init", "bin/qemunet-agent", "bin/qemunet-network", "bin/qemunet-settle"} <= scripts
    assert {path for path in programs | scripts if inside()[path][1] & 0o777 != 0o755} == set()


def test_nobody_has_a_password() -> None:
    shadow = inside()["etc/shadow"][0].decode()
    assert {line.split(":")[1] for line in shadow.splitlines()} == {"*"}
    assert not [path for path in inside() if path.startswith("root/.ssh/")]


def test_every_nic_has_its_driver() -> None:
    assert NICS | {"cifs"} <= set(modules())


def test_every_module_has_what_it_depends_on(unpacked: Path) -> None:
    for name, path in modules().items():
        depends = {one.replace("-", "_") for one in elf.module_facts(unpacked / path).depends}
        assert depends <= set(modules()), name
        assert depends <= {one.replace("-", "_") for one in loading_order()[Path(path).stem]}, name


def test_modules_are_loaded_after_what_they_depend_on() -> None:
    order = loading_order()
    for needed in order.values():
        for position, name in enumerate(needed):
            assert set(order[name]) <= set(needed[position + 1 :])


def test_drivers_are_found_by_their_devices() -> None:
    (aliases,) = [content.decode() for path, (content, _mode) in inside().items() if path.endswith("/modules.alias")]
    found = {line.split()[2] for line in aliases.splitlines() if line.split()[1].startswith(("pci:", "virtio:"))}
    assert found >= NICS
    # Debian's kernel has it built in from some version on.
    assert ("virtio_pci" in found) == ("virtio_pci" in modules())


def test_modules_are_neither_signed_nor_compressed() -> None:
    for path in modules().values():
        content = inside()[path][0]
        assert content.startswith(b"\x7fELF")
        assert not content.endswith(b"~Module signature appended~\n")


def test_the_kernel_starts_without_unpacking_itself(image: Image) -> None:
    assert image.kernel.read_bytes()[:4] == b"\x7fELF"


def test_the_disk_is_one_that_a_bios_boots(image: Image) -> None:
    with image.vdisk.open("rb") as disk:
        sector = disk.read(512)
    assert sector[3:11] == b"SYSLINUX"
    assert sector[-2:] == b"\x55\xaa"
    assert image.vdisk.stat().st_size == images.recipe("tiny").disk_mb << 20


def test_the_disk_has_drivers_and_busybox_alone(image: Image, tmp_path: Path) -> None:
    """The BIOS reads it slowly."""
    run(["mcopy", "-i", str(image.vdisk), "::initrd", "initrd"], package="mtools", folder=tmp_path,
        environment=disk.ENVIRONMENT)  # fmt: skip
    assert (tmp_path / "initrd").read_bytes() == image.small_initrd.read_bytes()
    found = contents(tmp_path / "initrd")
    drivers = {Path(path).stem for path in found if path.endswith(".ko")}
    assert drivers >= NICS and "cifs" not in drivers
    assert found.keys() - {path for path in found if path.startswith("lib/modules/")} == {
        "bin/busybox",
        *images.recipe("tiny").guest_files(),
    }


def test_the_recipe_says_how_to_boot() -> None:
    recipe = images.recipe("tiny")
    assert {"console=ttyS0", "quiet", "panic=-1", "net.ifnames=0"} <= set(recipe.guest.cmdline.split())
    assert "\n" not in recipe.guest.cmdline
    assert recipe.guest.memory_mib == 256
