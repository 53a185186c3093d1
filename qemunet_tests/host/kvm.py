"""KVM as far as can be told without running anything under it.

That /dev/kvm opens and makes a virtual machine does not mean that a guest runs: see `trial`.
"""

import contextlib
import errno
import fcntl
import os
import platform
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from qemunet_tests.host import devices
from qemunet_tests.host.credentials import Credentials
from qemunet_tests.host.devices import Device
from qemunet_tests.host.files import MACHINE, names_in, read_text
from qemunet_tests.host.obstacle import Obstacle
from qemunet_tests.host.system import HostSystem

_KVM_GET_API_VERSION = 0xAE00
_KVM_CREATE_VM = 0xAE01
#: The only version there has been since Linux 2.6.22.
API_VERSION = 12
#: Modules of other hypervisors, which keep the processor's virtualisation to themselves.
RIVALS = ("vboxdrv", "vmmon")

TryCreate = Callable[[Path], int | None]


@dataclass(frozen=True)
class Kvm:
    """`create_errno` is how making a virtual machine failed: None where it worked or was not tried."""

    device: Device
    create_errno: int | None
    extension: str | None
    nested: bool
    modules: tuple[str, ...]
    architecture: str

    @property
    def rivals(self) -> tuple[str, ...]:
        return tuple(name for name in RIVALS if name in self.modules)

    @property
    def makes_machines(self) -> bool:
        return self.device.opens and self.create_errno is None


def try_create(path: Path) -> int | None:
    """None when an empty virtual machine could be made (it is gone at once), else the errno."""
    try:
        device = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except OSError as refused:
        return refused.errno
    with contextlib.ExitStack() as cleanup:
        cleanup.callback(os.close, device)
        try:
            if fcntl.ioctl(device, _KVM_GET_API_VERSION) != API_VERSION:
                return errno.ENOTTY
            os.close(fcntl.ioctl(device, _KVM_CREATE_VM, 0))
        except OSError as refused:
            return refused.errno
    return None


def read(root: Path = MACHINE, opening: devices.TryOpen = devices.try_open, creating: TryCreate = try_create) -> Kvm:
    """What the node, the processor and the kernel say."""
    device = devices.read(devices.KVM, root, opening)
    flags = _processor_flags(root)
    return Kvm(
        device=device,
        create_errno=creating(root / "dev/kvm") if device.opens else None,
        extension=next((flag for flag in ("vmx", "svm") if flag in flags), None),
        nested="hypervisor" in flags,
        modules=tuple(name for name in names_in(root, "/sys/module") if name.startswith("kvm") or name in RIVALS),
        architecture=platform.machine(),
    )


def obstacle(kvm: Kvm, credentials: Credentials, user: str, machine: HostSystem) -> Obstacle | None:
    """Why QEMU cannot use KVM here, or None where it opens and makes a machine."""
    if not kvm.device.exists:
        return _missing(kvm, credentials, machine)
    refused = devices.obstacle(kvm.device, credentials, user, machine.container)
    if refused is not None:
        if machine.ci and kvm.device.open_errno == errno.EACCES:
            return Obstacle(refused.reason, CI_DEVICE_RULE)
        return refused
    if kvm.create_errno is None:
        return None
    return _no_machine(kvm, credentials)


#: A chmod is undone by the next run of udev; a rule is not.
CI_DEVICE_RULE = (
    'after all packages are installed: echo \'KERNEL=="kvm", GROUP="kvm", MODE="0666", '
    'OPTIONS+="static_node=kvm"\' | sudo tee /etc/udev/rules.d/99-kvm4all.rules; '
    "sudo udevadm control --reload-rules; sudo udevadm trigger --name-match=kvm; sudo udevadm settle"
)


def _missing(kvm: Kvm, credentials: Credentials, machine: HostSystem) -> Obstacle:
    gone = f"there is no {devices.KVM}"
    if kvm.architecture not in ("x86_64", "i686"):
        return Obstacle(
            f"this is a {kvm.architecture} machine, where an x86 guest always runs in software",
            "use an x86 machine for speed",
        )
    if machine.container is not None:
        return Obstacle(
            f"the container ({machine.container}) has no {devices.KVM}",
            f"start the container with --device {devices.KVM}",
        )
    if machine.virtualisation == "wsl":
        return Obstacle(gone, "set nestedVirtualization=true under [wsl2] in %UserProfile%\\.wslconfig")
    if kvm.extension is None and kvm.nested:
        return Obstacle(
            f"{gone}: this is a virtual machine whose host does not pass virtualisation on",
            "on the outer host: kvm_intel or kvm_amd with nested=1 and -cpu host for this machine",
        )
    if kvm.extension is None:
        return Obstacle(
            f"{gone}: the processor offers no virtualisation",
            "switch on VT-x or AMD-V (SVM) in the firmware setup",
        )
    module = "kvm_intel" if kvm.extension == "vmx" else "kvm_amd"
    return Obstacle(
        f"{gone}, though the processor could do it",
        f"{credentials.sudo}modprobe {module}; if that is refused, switch on VT-x or AMD-V (SVM) in the firmware setup",
    )


def _no_machine(kvm: Kvm, credentials: Credentials) -> Obstacle:
    if kvm.create_errno == errno.EBUSY:
        holder = " and ".join(kvm.rivals) or "another hypervisor"
        remedy = "stop the machines of the other hypervisor"
        if kvm.rivals:
            remedy += f", or {credentials.sudo}modprobe -r {' '.join(kvm.rivals)}"
        return Obstacle(f"KVM is busy: {holder} has the processor's virtualisation", remedy)
    if kvm.create_errno == errno.ENOTTY:
        return Obstacle(f"{devices.KVM} is not KVM", f"look at what {devices.KVM} is: ls -l {devices.KVM}")
    reason = os.strerror(kvm.create_errno or 0)
    return Obstacle(f"KVM opens but makes no virtual machine: {reason}", "look at dmesg for lines about kvm")


def _processor_flags(root: Path) -> frozenset[str]:
    for line in (read_text(root, "/proc/cpuinfo") or "").splitlines():
        if line.startswith("flags"):
            return frozenset(line.partition(":")[2].split())
    return frozenset()
