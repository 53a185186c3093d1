"""The arm `virtme-ng`: a guest of virtme-ng's with our image's kernel, until a command in it shows a DHCP lease.

virtme-ng finds a kernel's modules beside its image, on the file system that the guest shares with the host. It hides
the host's folders for temporary files from the guest, so the unpacked package lies on a mount of the lab's own.
"""

import os
import re
import shlex
import shutil
import signal
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qemunet_tests.harness.bench import Bench
from qemunet_tests.harness.deadline import Deadline
from qemunet_tests.harness.errors import HarnessError, TimedOut, Unavailable
from qemunet_tests.harness.image import Image
from qemunet_tests.harness.namespaces import scratch
from qemunet_tests.harness.syscalls import mount
from qemunet_tests.images import manifest
from qemunet_tests.images.apt import Apt, Package, StaleLists
from qemunet_tests.images.distribution import distribution, host_release

NAME = "virtme-ng"
#: virtme-ng's DHCP client asks on this NIC only.
NIC = "virtio-net-pci"
#: Empty on nearly every machine, and not one of the folders that virtme-ng hides from its guest.
SHELF = Path("/media")
SHOW_LEASE = "ip -4 -o address show scope global"
#: How long one guest may take under KVM, before the pace is applied.
LEASE_SECONDS = 40.0
DEPMOD_SECONDS = 60.0


def program() -> str | None:
    """Where virtme-ng is installed: in this Python's environment or on the PATH."""
    places = (str(Path(sys.executable).parent), os.environ.get("PATH", ""))
    return shutil.which("virtme-run", path=os.pathsep.join(places))


def fetch_kernel(image: Image, folder: Path) -> list[Path]:
    """The very kernel packages that `image` was made of; before the lab is entered.

    Raises Unavailable, HarnessError where they cannot be had any more.
    """
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


@dataclass(frozen=True)
class Virtme:
    """virtme-ng with a kernel to boot."""

    program: str
    kernel: Path

    def words(self, bench: Bench, temporary: Path) -> list[str]:
        """As `vng` would call it: with its memory, but one processor, as our guests have."""
        accel = [] if bench.machine.accel.used == "kvm" else ["--disable-kvm"]
        return [
            # Neither what the user configured nor what an ended virtme-run leaves is to matter.
            "env", f"HOME={temporary}", f"TMPDIR={temporary}",
            self.program, "--kimg", str(self.kernel), "--mods", "auto", "--qemu-bin", str(bench.qemu.path),
            *accel, "--disable-microvm", "--memory", "1G", "--net", "user", "--script-sh", SHOW_LEASE,
        ]  # fmt: skip

    def prepare(self, bench: Bench) -> None:
        """Let it make the tables of modules, so that no sample pays for them. Raises HarnessError."""
        with tempfile.TemporaryDirectory(dir=scratch()) as temporary:
            words = shlex.join([*self.words(bench, Path(temporary)), "--dry-run"])
            made = bench.station.run(words, bench.pace.seconds(DEPMOD_SECONDS))
        if not made.succeeded:
            raise HarnessError(f"virtme-run ended with status {made.status}: {made.complaint}")

    def sample(self, bench: Bench) -> dict[str, Any]:
        """One guest. The time counts from the start of virtme-run, and is null where there was no lease."""
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
            deadline.wait_until(lambda: b" inet " in said.read_bytes() or process.poll() is not None)
            if b" inet " in said.read_bytes():
                return round(time.monotonic() - started_seconds, 3)
            complaint = (temporary / "complaints").read_text(errors="replace").strip()
            print(f"{NAME} ended without a lease: {complaint}", file=sys.stderr)
        except TimedOut as late:
            print(late, file=sys.stderr)
        finally:
            # virtme-run itself would leave its QEMU behind.
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        return None


def lay_out(packages: list[Path]) -> Path:
    """Unpack the kernel where only the lab sees it; returns its image. Raises HarnessError."""
    try:
        # libarchive's library may be missing where every image is built already.
        from qemunet_tests.images.kernel import find_kernel
        from qemunet_tests.images.packages import unpack

        mount("qemunet", str(SHELF), "tmpfs", 0, "mode=0755")
        for package in packages:
            unpack(package, SHELF)
    except OSError as failed:
        raise HarnessError(f"its kernel could not be unpacked: {failed}") from failed
    return find_kernel(SHELF).bzimage


def skipped(why: str | Unavailable | HarnessError) -> None:
    """The one line that says that this arm is left out."""
    print(f"without {NAME}: {' '.join(str(why).split())}", file=sys.stderr)
