"""Faults of the bridge helper: the file, its access list, and what it needs of the host."""

from pathlib import Path

from meta_tests.faults.fault import HELPER_SENTINELS, USER_SENTINELS, fault
from qemunet_tests.isolation.namespaces import SCRATCH
from qemunet_tests.isolation.syscalls import MS_BIND, MS_NOSUID, MS_REMOUNT, mount
from qemunet_tests.network import Lab, private_etc
from qemunet_tests.qemu import qemu_facts


@fault("bridge/acl-allow", "bridge/lease-address", "tap/helper", cause="allows no bridge called br0",
       sentinels=USER_SENTINELS, core=True)  # fmt: skip
def acl_without_the_bridge(lab: Lab) -> None:
    """The helper's access list allows another bridge only."""
    private_etc.allow_bridges("virbr0")


@fault("bridge/acl-not-listed", cause="allows every bridge", sentinels=USER_SENTINELS)
def acl_allows_all(lab: Lab) -> None:
    """The helper's access list allows whatever is asked for."""
    private_etc.replace("qemu/bridge.conf", "allow all\n")


@fault("bridge/helper-found", "bridge/acl-allow", cause="does not exist", sentinels=USER_SENTINELS)
def helper_missing(lab: Lab) -> None:
    """The package with the bridge helper is not installed."""
    mount("nothing", "/usr/lib/qemu", "tmpfs")


@fault(
    "bridge/acl-not-listed",
    "bridge/acl-deny",
    "bridge/acl-include",
    "bridge/acl-missing",
    "bridge/acl-unreadable",
    "bridge/acl-all",
    "bridge/acl-deny-wins",
    "bridge/acl-no-patterns",
    "bridge/acl-comments",
    "bridge/acl-include-broken",
    cause="reads /etc/qemv/bridge.conf and not the documented /etc/qemu/bridge.conf",
    sentinels=HELPER_SENTINELS,
)
def helper_reads_another_list(lab: Lab) -> None:
    """The helper was built to read another list, which allows everything."""
    _patch_helper(b"/etc/qemu/bridge.conf", b"/etc/qemv/bridge.conf")
    private_etc.replace("qemv/bridge.conf", "allow all\n")


@fault("bridge/setuid-works", "bridge/acl-allow", cause="on a filesystem mounted nosuid",
       sentinels=("bridge/helper-found", "bridge/setuid-missing", *USER_SENTINELS))  # fmt: skip
def helper_on_nosuid_mount(lab: Lab) -> None:
    """The helper has its setuid bit, on a file system where the kernel ignores that."""
    mount("none", str(SCRATCH), None, MS_REMOUNT | MS_BIND | MS_NOSUID)


@fault("bridge/setuid-missing", "bridge/acl-allow", "bridge/lease-address", cause="no /dev/net/tun",
       sentinels=("bridge/helper-found", "bridge/acl-not-listed", *USER_SENTINELS))  # fmt: skip
def tun_missing(lab: Lab) -> None:
    """The host, or the container it is, has no tun device."""
    mount("nothing", "/dev/net", "tmpfs")


@fault("bridge/helper-usage", cause="called with --fd=1; with .* the helper does not say how it is called",
       sentinels=("bridge/helper-found", "bridge/acl-not-listed"))  # fmt: skip
def helper_without_usage(lab: Lab) -> None:
    """A helper that somebody has written anew says something else to whoever calls it wrongly."""
    _patch_helper(b"Usage: ", b"Refused")


def _patch_helper(old: bytes, new: bytes) -> None:
    """Put a helper with other bytes in its place, in the run's own mounts."""
    helper = Path(qemu_facts.find().helper_path or "")
    patched = SCRATCH / "patched-helper"
    patched.write_bytes(helper.read_bytes().replace(old, new))
    patched.chmod(0o755)
    mount(str(patched), str(helper), None, MS_BIND)
