"""The machine every guest is: its command line, whatever network it is given."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from qemunet_tests.qemu.accel import Accel
from qemunet_tests.qemu.built_image import Image
from qemunet_tests.qemu.netdev import Netdev
from qemunet_tests.qemu.qemu_facts import Qemu


@dataclass(frozen=True)
class GuestMachine:
    """One QEMU, one image, one accelerator."""

    qemu: Qemu
    image: Image
    accel: Accel

    def words(self, name: str) -> list[str]:
        """The command line of a guest called `name` that boots its kernel, up to its network."""
        return [
            str(self.qemu.path), "-name", name, "-nodefaults", "-no-user-config",
            "-display", "none", "-no-reboot", "-accel", self.accel.used, "-m", f"{self.image.guest.memory_mib}M",
        ]  # fmt: skip

    def cold(self, network: str | None = None) -> list[str]:
        """Words for a guest with memory of its own; `network` is what the guest is to do with its NICs at boot."""
        return ["-M", self.qemu.machine, *self.kernel(network)]

    def shared(self, network: str | None = None) -> list[str]:
        """The same with memory that QEMU passes to who asks for it, as a vhost-user backend does."""
        backend = f"memory-backend-memfd,id=ram,size={self.image.guest.memory_mib}M,share=on"
        return ["-object", backend, "-M", f"{self.qemu.machine},memory-backend=ram", *self.kernel(network)]

    def booting(self, netdevs: Iterable[Netdev], network: str | None = None) -> list[str]:
        """Words for a guest with memory of its own, shared where one of its backends needs that."""
        return (self.shared if any(each.shares_memory for each in netdevs) else self.cold)(network)

    def backed(self, memory: Path, shared: bool, network: str | None) -> list[str]:
        """Words for a guest whose memory is a file: shared with it, or a private copy on write."""
        size = f"{self.image.guest.memory_mib}M"
        backend = f"memory-backend-file,id=ram,size={size},mem-path={memory},share={'on' if shared else 'off'}"
        return ["-object", backend, "-M", f"{self.qemu.machine},memory-backend=ram", *self.kernel(network)]

    def kernel(self, network: str | None) -> list[str]:
        cmdline = self.image.guest.cmdline
        append = f"{cmdline} qemunet.network={network}" if network else cmdline
        return self._loaded(self.image.initrd, append)

    def kernel_in_default_memory(self) -> list[str]:
        """Words for a kernel that boots without `-m`: in QEMU's own 128 MiB, of which Linux 6.1 takes up 48.

        The whole initramfs, 23 MiB in memory and as much again while it is unpacked, does not fit beside Linux 7.3.
        """
        return self._loaded(self.image.small_initrd, self.image.guest.cmdline)

    def _loaded(self, initrd: Path, append: str) -> list[str]:
        return ["-kernel", str(self.image.kernel), "-initrd", str(initrd), "-append", append]
