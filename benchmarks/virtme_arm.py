"""The arm `virtme-ng`: a guest of virtme-ng's with our image's kernel, until a command in it shows a DHCP lease.

virtme-ng finds a kernel's modules beside its image, on the file system that the guest shares with the host. It hides
the host's folders for temporary files from the guest, so the unpacked package lies on a mount of the lab's own.

The DHCP client is started by our command: virtme-ng 1.42 starts its own while udev still loads the driver of the NIC,
and then often asks on no NIC at all.
"""

import contextlib
import os
import re
import shlex
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qemunet_tests.deadline import Deadline
from qemunet_tests.errors import HarnessError, TimedOut, Unavailable
from qemunet_tests.guest.bench import Bench
from qemunet_tests.images import manifest
from qemunet_tests.images.apt import Apt, Package, StaleLists
from qemunet_tests.images.distribution import distribution, host_release
from qemunet_tests.isolation.namespaces import scratch
from qemunet_tests.isolation.processes import SYSTEM_PATH
from qemunet_tests.isolation.syscalls import mount
from qemunet_tests.qemu.built_image import Image

NAME = "virtme-ng"
#: The only one that virtme-ng offers.
NIC = "virtio-net-pci"
#: Empty on nearly every machine, and not one of the folders that virtme-ng hides from its guest.
SHELF = Path("/media")
SHOW_LEASE = """
nic=$(ls /sys/bus/virtio/drivers/virtio_net/virtio*/net)
ip link set dev "$nic" up && busybox udhcpc -i "$nic" -n -q -f -s /bin/true 2>&1
"""
LEASE = b"obtained from"
#: Programs that virtme-ng and its guest call, and Debian's packages that have them.
PACKAGES = {"depmod": "kmod", "file": "file", "busybox": "busybox-static"}
#: How long one guest may take under KVM, before the pace is applied.
LEASE_SECONDS = 60.0
DEPMOD_SECONDS = 60.0


def search_path() -> str | None:
    """A PATH that leads to virtme-ng's programs, in this Python's environment or elsewhere; None where it has none."""
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", ""), SYSTEM_PATH))
    return path if shutil.which("vng", path=path) else None


def _missing() -> str | None:
    """What is to be installed first; without it virtme-ng ends with a traceback."""
    path = search_path()
    if path is None:
        return "it is not installed: pip install virtme-ng"
    missing = [package for program, package in PACKAGES.items() if not shutil.which(program, path=path)]
    return f"it needs more: apt-get install {' '.join(missing)}" if missing else None


def fetch(image: Image, folder: Path) -> list[Path]:
    """The very kernel packages that `image` was made of, before the lab is entered; none where the arm is left out."""
    if missing := _missing():
        _left_out(missing)
        return []
    try:
        return _fetch(image, folder)
    except (HarnessError, Unavailable) as failed:
        _left_out(failed)
        return []


def _fetch(image: Image, folder: Path) -> list[Path]:
    said = manifest.read(image.folder)
    follow = distribution(host_release()).follow
    used = [one for one in said.packages if re.fullmatch(follow, one.name)] if said else []
    if not used:
        raise HarnessError(f"the image {image.name} does not say which kernel it was made of")
    wanted, apt = [Package(one.name, one.version, one.sha256) for one in used], Apt(folder)
    try:
        files = apt.download(wanted)
    except StaleLists:
        apt.fetch_lists()
        files = apt.download(wanted)
    return list(files.values())


def lay_out(packages: list[Path]) -> Path | None:
    """Unpack the kernel where only the lab sees it; returns its image. None where the arm is left out."""
    if not packages:
        return None
    try:
        # libarchive's library may be missing where every image is built already.
        from qemunet_tests.images.kernel import find_kernel
        from qemunet_tests.images.packages import unpack

        mount("qemunet", str(SHELF), "tmpfs", 0, "mode=0755")
        for package in packages:
            unpack(package, SHELF)
        return find_kernel(SHELF).bzimage
    except (OSError, HarnessError) as failed:
        _left_out(failed)
        return None


def arms(bench: Bench, kernel: Path | None) -> list[Callable[[Bench], dict[str, Any]]]:
    """What gives a sample of virtme-ng, or nothing where the arm is left out."""
    path = search_path()
    if kernel is None or path is None:
        return []
    virtme = Virtme(path, kernel)
    try:
        virtme.prepare(bench)
    except HarnessError as failed:
        _left_out(failed)
        return []
    return [virtme.sample]


def _left_out(why: object) -> None:
    print(f"without {NAME}: {' '.join(str(why).split())}", file=sys.stderr)


@dataclass(frozen=True)
class Virtme:
    """virtme-ng with a kernel to boot."""

    search_path: str
    kernel: Path

    def words(self, bench: Bench, temporary: Path) -> list[str]:
        """Everything is left as virtme-ng has it by default, except what the comparison fixes."""
        accel = [] if bench.machine.accel.used == "kvm" else ["--disable-kvm"]
        return [
            # Neither what the user configured nor what an ended vng leaves is to matter.
            "env", f"HOME={temporary}", f"TMPDIR={temporary}", f"PATH={self.search_path}",
            "vng", "--run", str(self.kernel), "--qemu", str(bench.qemu.path), "--network", "user", "--no-dhcp",
            # A NIC on PCI; and no virtiofsd, for which it waits in vain where QEMU 7.2 brings one.
            "--disable-microvm", "--force-9p", *accel, "--exec", SHOW_LEASE,
        ]  # fmt: skip

    def prepare(self, bench: Bench) -> None:
        """Let it make the tables of modules, so that no sample pays for them. Raises HarnessError."""
        with tempfile.TemporaryDirectory(dir=scratch()) as temporary:
            words = shlex.join([*self.words(bench, Path(temporary)), "--dry-run"])
            made = bench.station.run(words, bench.pace.seconds(DEPMOD_SECONDS))
        if not made.succeeded:
            raise HarnessError(f"vng ended with status {made.status}: {made.complaint}")

    def sample(self, bench: Bench) -> dict[str, Any]:
        """One guest. The time counts from the start of vng, and is null where there was no lease."""
        print(f"{NAME} {NIC}", file=sys.stderr)
        with tempfile.TemporaryDirectory(dir=scratch()) as temporary:
            lease = self._seconds_to_lease(bench, Path(temporary))
        seconds = {"running": None, "lease": lease, "ssh": None}
        return {"arm": NAME, "nic": NIC, "seconds": seconds, "pss_mb": None}

    def _seconds_to_lease(self, bench: Bench, temporary: Path) -> float | None:
        said = temporary / "said"
        deadline = Deadline(bench.pace.seconds(LEASE_SECONDS), f"a DHCP lease in a guest of {NAME}")
        started_seconds = time.monotonic()
        with said.open("wb") as out, (temporary / "complaints").open("wb") as complaints:
            process = bench.station.start(
                self.words(bench, temporary), stdout=out, stderr=complaints, start_new_session=True
            )
        try:
            deadline.wait_until(lambda: LEASE in said.read_bytes() or process.poll() is not None)
            if LEASE in said.read_bytes():
                return round(time.monotonic() - started_seconds, 3)
            complaint = said.read_text(errors="replace") + (temporary / "complaints").read_text(errors="replace")
            print(f"{NAME} ended without a lease: {' '.join(complaint.split())}", file=sys.stderr)
        except TimedOut as late:
            print(late, file=sys.stderr)
        finally:
            # vng itself would leave its QEMU behind.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        return None
