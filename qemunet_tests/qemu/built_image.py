"""A built guest, as everything that boots it sees it."""

import shutil
from dataclasses import dataclass, field, replace
from pathlib import Path

from qemunet_tests import trust
from qemunet_tests.isolation.shared_files import made_once
from qemunet_tests.qemu.guest_profile import GuestProfile

KERNEL, INITRD, SMALL_INITRD, DISK = FILES = ("vmlinuz", "initrd", "small-initrd", "vdisk.img")


def copy_believed(source: Path, target: Path) -> None:
    """Copy a file of an image, if nobody else can have put it there. Raises Distrusted, OSError."""
    with trust.opened(source) as reading, target.open("wb") as writing:
        shutil.copyfileobj(reading, writing, 1 << 20)


@dataclass(frozen=True)
class Image:
    """What QEMU boots: a kernel with an initramfs, and the kernel with a small one, also inside a bootable disk.

    `digest` names the content (packages, recipe and files that went in), so that equal digests boot alike. `guest` is
    what the image says of itself.
    """

    name: str
    digest: str
    folder: Path
    guest: GuestProfile = field(compare=False)

    def describe(self) -> dict[str, str]:
        """For results.json and recordings."""
        return {"name": self.name, "digest": self.digest}

    @property
    def kernel(self) -> Path:
        return self.folder / KERNEL

    @property
    def initrd(self) -> Path:
        return self.folder / INITRD

    @property
    def small_initrd(self) -> Path:
        """The disk's initramfs: busybox and the NICs' drivers, for a guest with no more memory than QEMU's default."""
        return self.folder / SMALL_INITRD

    def placed(self) -> "Image":
        """The same image with all but the disk where the user QEMU runs as can read it, once for all workers of a run.

        The cache may lie in a home that is closed to that user.
        """
        return replace(self, folder=made_once(f"image-{self.name}-{self.digest[:16]}", self._copy_to))

    def _copy_to(self, folder: Path) -> None:
        folder.mkdir()
        for file in (self.kernel, self.initrd, self.small_initrd):
            copy_believed(file, folder / file.name)

    @property
    def vdisk(self) -> Path:
        """A bootable disk for the post's own command line, `-hda ./vdisk.img`."""
        return self.folder / DISK
