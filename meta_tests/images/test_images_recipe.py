"""What goes into an image: recipes, distributions, packages, kernels. A change of it is a change of the image."""

import os
import shutil
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import cast

import pytest

from qemunet_tests import cache, images
from qemunet_tests.errors import HarnessError, Unavailable
from qemunet_tests.images import apt, builder, busybox, elf, kernel, manifest, recipes, store, tools, vmlinux
from qemunet_tests.images.distribution import HostRelease, distribution, release_version, table
from qemunet_tests.images.manifest import FileSum, UsedPackage


@pytest.fixture
def own_recipes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the recipes and the builder, to be changed."""
    shelf = tmp_path / "recipes"
    shutil.copytree(recipes.SHELF, shelf)
    monkeypatch.setattr(recipes, "SHELF", shelf)
    return shelf


@pytest.mark.parametrize("file", ["tiny/recipe.toml", "tiny/root/init", "distributions.toml", "builder.py"])
def test_the_digest_changes_with_every_input_and_never_otherwise(own_recipes: Path, file: str) -> None:
    before = images.recipe("tiny").digest()
    changed = own_recipes / file
    os.utime(changed, (0, 0))
    (own_recipes / "README").write_text("nothing that goes into an image")
    assert images.recipe("tiny").digest() == before
    changed.write_text(changed.read_text() + "# one more line\n")
    after = images.recipe("tiny").digest()
    assert after != before
    changed.write_text(changed.read_text().removesuffix("# one more line\n"))
    assert images.recipe("tiny").digest() == before


def test_a_new_file_for_the_guest_changes_the_digest(own_recipes: Path) -> None:
    before = images.recipe("tiny").digest()
    (own_recipes / "tiny/root/etc/motd").touch()
    assert images.recipe("tiny").digest() != before


def test_every_builder_module_that_shapes_an_image_is_part_of_the_digest() -> None:
    assert [name for name in recipes.SHAPING_SOURCES if not (recipes.SHELF / name).is_file()] == []


@pytest.mark.parametrize("field", ["name", "version", "sha256"])
def test_the_digest_changes_with_every_package(field: str) -> None:
    package = {"name": "socat", "version": "1.7", "sha256": "ab"}
    other = package | {field: "other"}
    before, after = (manifest.digest("recipe", (UsedPackage(**one),), {}, None) for one in (package, other))
    assert before != after


def test_the_digest_changes_with_every_byte_that_came_out() -> None:
    sums = [{"vmlinuz": FileSum(size=1, sha256=sha256)} for sha256 in ("ab", "ba")]
    assert manifest.digest("recipe", (), sums[0], None) != manifest.digest("recipe", (), sums[1], None)


@pytest.mark.parametrize("version", ["12", "13", "trixie/sid", "forky/sid"])
def test_debian_is_where_it_was_tried(version: str) -> None:
    found = distribution(HostRelease(id="debian", version=version, machine="x86_64"))
    assert (found.kernel, found.version) == (("linux-image-amd64",), version)


@pytest.mark.parametrize(
    ("said", "debian_version", "version"),
    [
        ({"ID": "debian", "VERSION_ID": "13", "VERSION_CODENAME": "trixie"}, "13.8", "13"),
        ({"ID": "debian", "VERSION_CODENAME": "forky"}, "forky/sid", "forky/sid"),  # testing and sid, Nov 2026
        ({"ID": "debian", "VERSION_CODENAME": "trixie"}, "trixie/sid", "trixie/sid"),  # testing before its release
        ({"ID": "debian"}, "bookworm/sid", "bookworm/sid"),  # unstable without a codename in os-release
        ({"ID": "debian", "VERSION_CODENAME": "forky"}, "", "forky/sid"),
        ({"ID": "arch", "BUILD_ID": "rolling"}, "", "rolling"),
        ({"ID": "fedora", "VERSION_ID": "43"}, "", "43"),
        ({}, "", "unknown"),
    ],
)
def test_the_release_of_what_rolls(said: dict[str, str], debian_version: str, version: str) -> None:
    assert release_version(said, debian_version) == version


#: linux-image-amd64 and what it leads to in sid, November 2026, as apt-cache shows it.
SPLIT_KERNEL = {
    "linux-image-amd64": ("linux-base-amd64", "linux-image-7.2.13+deb14-amd64"),
    "linux-image-7.2.13+deb14-amd64": (
        "linux-base", "dracut", "initramfs-tools", "linux-initramfs-tool", "linux-base-7.2.13+deb14-amd64",
        "linux-binary-7.2.13+deb14-amd64", "linux-modules-7.2.13+deb14-amd64",
    ),
    "linux-binary-7.2.13+deb14-amd64": ("linux-base-7.2.13+deb14-amd64",),
    "linux-modules-7.2.13+deb14-amd64": ("kmod", "linux-base-7.2.13+deb14-amd64"),
    "linux-base-7.2.13+deb14-amd64": (),
    "socat": (), "busybox-static": (), "dropbear-bin": (), "iperf3": (), "iputils-ping": (), "traceroute": (),
}  # fmt: skip


def test_a_kernel_in_several_packages_is_followed_to_all_of_them() -> None:
    class Lists:
        def candidates(self, names: Iterable[str]) -> dict[str, apt.Package]:
            return {name: apt.Package(name, "1", "ab", depends=SPLIT_KERNEL[name]) for name in names}

    sid = distribution(HostRelease(id="debian", version="forky/sid", machine="x86_64"))
    found = builder.resolve(cast(apt.Apt, Lists()), sid)
    assert {package.name for package in found.kernel} == {
        f"linux-{part}-7.2.13+deb14-amd64" for part in ("image", "binary", "modules", "base")
    }


def test_of_two_names_of_a_module_the_kernels_own_is_taken(tmp_path: Path) -> None:
    (tmp_path / "modules.builtin").write_text("kernel/crypto/sha256.ko\n")
    newer = kernel.Kernel("7.2", tmp_path / "vmlinuz", tmp_path)
    assert kernel.select(newer, ["sha256_generic|sha256"]) == []
    with pytest.raises(HarnessError, match="has no module md4 or md6"):
        kernel.select(newer, ["md4|md6"])
    (tmp_path / "modules.builtin").unlink()
    with pytest.raises(HarnessError, match="do not say what is built in"):
        kernel.select(newer, ["md4"])


@pytest.mark.parametrize(
    ("host", "reason"),
    [
        (("plan9", "4", "x86_64"), "a guest image cannot be built on plan9 4: its package names are not known"),
        (("unknown", "unknown", "x86_64"), "its package names are not known"),
        (("debian", "11", "x86_64"), "a guest image cannot be built on debian 11"),
        (("ubuntu", "24.04", "x86_64"), "was prepared for ubuntu 24.04 but never tried"),
        (("fedora", "43", "x86_64"), "was prepared for fedora 43 but never tried"),
        (("debian", "12", "aarch64"), "guest images are built on x86_64 and this machine is aarch64"),
    ],
)
def test_elsewhere_an_image_has_to_be_imported(host: tuple[str, str, str], reason: str) -> None:
    with pytest.raises(Unavailable) as said:
        distribution(HostRelease(id=host[0], version=host[1], machine=host[2]))
    assert reason in said.value.reason
    assert "`qemunet image import FILE`" in said.value.remedy


def test_ensure_says_so_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QEMUNET_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(cache, "readable_caches", lambda: [tmp_path / "cache"])
    strange = HostRelease(id="plan9", version="4", machine="x86_64")
    # By what was imported here: a session within a session may have imported both a second time since.
    monkeypatch.setattr(store, "host_release", lambda: strange)
    with pytest.raises(Unavailable, match="plan9 4"):
        store.ensure()
    assert not (tmp_path / "cache").exists()


def test_the_table_of_distributions_is_complete() -> None:
    assert {(one.id, one.tried) for one in table()} == {("debian", True), ("ubuntu", False), ("fedora", False)}


STANZAS = """\
Package: socat
Version: 1.7.4.4-2
Pre-Depends: libc6 (>= 2.34)
Depends: libssl3 (>= 3.0.0) | libssl-compat, libwrap0:amd64 (>= 7.6-4~),
 python3:any
Size: 375184
SHA256: abc

Package: libc6
Version: 2.36-9
Size: 5
SHA256: def
"""


class FakeApt:
    """Answers `apt-cache show` from lists that may have to be fetched first."""

    def __init__(self, fetched: bool) -> None:
        self.fetched, self.calls = fetched, list[str]()

    def __call__(self, command: list[str], **_more: object) -> str:
        action = next(word for word in command if word in ("show", "update", "download"))
        self.calls.append(action)
        self.fetched |= action == "update"
        if action == "show" and self.fetched:
            return STANZAS
        if action == "update":
            return ""
        raise HarnessError("apt failed")


def test_packages_are_read_from_the_lists(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apt, "run", fake := FakeApt(fetched=True))
    found = apt.Apt(tmp_path).candidates(["socat", "libc6"])
    assert found["socat"].depends == ("libc6", "libssl3", "libssl-compat", "libwrap0", "python3")
    assert (found["libc6"].version, found["libc6"].size_bytes, found["libc6"].depends) == ("2.36-9", 5, ())
    assert fake.calls == ["show"]


def test_missing_lists_are_fetched_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apt, "run", fake := FakeApt(fetched=False))
    client = apt.Apt(tmp_path)
    assert set(client.candidates(["socat"])) == {"socat"}
    with pytest.raises(HarnessError, match="the package lists know nothing of iperf9"):
        client.candidates(["iperf9"])
    assert fake.calls.count("update") == 1


def test_a_package_file_that_is_gone_means_stale_lists(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apt, "run", FakeApt(fetched=True))
    with pytest.raises(apt.StaleLists):
        apt.Apt(tmp_path).download([apt.Package("socat", "1", "abc")])


def test_a_tool_that_is_missing_or_fails_is_named(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="no-such-tool is not installed") as said:
        tools.run(["no-such-tool"], package="sometools", folder=tmp_path)
    assert "install the package sometools" in said.value.remedy
    script = "import sys; print('the disk is on fire', file=sys.stderr); sys.exit(3)"
    with pytest.raises(HarnessError, match="ended with status 3: the disk is on fire"):
        tools.run([sys.executable, "-c", script], package="python3", folder=tmp_path)


def test_a_module_that_does_not_exist_is_named(tmp_path: Path) -> None:
    (tmp_path / "modules.builtin").write_text("kernel/net/packet/af_packet.ko\n")
    empty = kernel.Kernel("6.1", tmp_path / "vmlinuz", tmp_path)
    assert kernel.select(empty, ["af-packet"]) == []
    with pytest.raises(HarnessError, match="the kernel package has no module e1001"):
        kernel.select(empty, ["e1001"])


def test_dependencies_are_written_nearest_first() -> None:
    depends = {"virtio": (), "virtio_ring": ("virtio",), "virtio_pci": ("virtio_ring", "virtio")}
    modules = [kernel.Module(name, Path(f"{name}.ko"), elf.ModuleFacts(needed)) for name, needed in depends.items()]
    assert "kernel/virtio_pci.ko: kernel/virtio_ring.ko kernel/virtio.ko\n" in kernel.tables(modules)["modules.dep"]


def test_what_is_no_kernel_is_refused(tmp_path: Path) -> None:
    (tmp_path / "vmlinuz").write_bytes(b"MZ" + bytes(1000))
    with pytest.raises(HarnessError, match="vmlinuz is not a Linux kernel for x86"):
        vmlinux.bootable(tmp_path / "vmlinuz")


def test_a_kernel_compressed_in_an_unknown_way_is_left_as_it_is(tmp_path: Path) -> None:
    wrapped = bytearray(4096)
    wrapped[vmlinux.MAGIC : vmlinux.MAGIC + 4] = b"HdrS"
    wrapped[vmlinux.PAYLOAD_OFFSET + 4] = 100
    (tmp_path / "vmlinuz").write_bytes(wrapped)
    assert vmlinux.bootable(tmp_path / "vmlinuz") == wrapped


def test_an_applet_gives_way_to_the_real_program() -> None:
    program = b"\x7fELF..ping\0..\0[\0[[\0nc\0pidof\0ping\0ping6\0vi\0\0usage: ping\0"
    changed = busybox.without_applets(program, ["ping", "socat"])
    assert changed == program.replace(b"pidof\0ping\0", b"pidof\0pinG\0")
    with pytest.raises(HarnessError, match="no table of applet names"):
        busybox.without_applets(b"\x7fELF", ["ping"])
    with pytest.raises(HarnessError, match="cannot be changed"):
        busybox.without_applets(b"\0[\0[[\0pina\0pinga\0pinz\0\0".replace(b"pinga", b"pinb"), ["pinb"])
