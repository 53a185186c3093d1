"""What modes lack that few machines have: which QEMU, which privileges, which device node."""

from pathlib import Path

import pytest

from qemunet_tests import modes
from qemunet_tests.host import devices
from qemunet_tests.modes import af_xdp, vhost_user, vhost_vdpa
from qemunet_tests.qemu.qemu_facts import Qemu


def qemu(*netdevs: str) -> Qemu:
    """One that was built with these backends."""
    return Qemu(Path("/usr/bin/qemu"), "11.1.0", "QEMU", None, frozenset(netdevs), frozenset(), "pc", None, ())


@pytest.mark.parametrize("word", ["af-xdp", "vhost-user", "vhost-vdpa"])
def test_a_qemu_without_the_backend_is_named(word: str) -> None:
    missing = modes.every()[word].plain.missing(qemu("user"))
    assert missing is not None
    assert missing.reason == f"/usr/bin/qemu has no -netdev {word}"
    assert missing.remedy


@pytest.mark.parametrize("module", [af_xdp, vhost_user, vhost_vdpa])
def test_a_qemu_with_the_backend_lacks_nothing(module: object) -> None:
    assert module.missing(qemu("af-xdp", "vhost-user", "vhost-vdpa")) is None  # type: ignore[attr-defined]


@pytest.mark.parametrize(("uid", "inside", "may"), [(0, False, True), (0, True, False), (1000, False, False)])
def test_only_root_of_the_machine_puts_programs_on_interfaces(uid: int, inside: bool, may: bool) -> None:
    refused = af_xdp.missing_privilege(uid, inside)
    assert (refused is None) == may
    assert may or (refused is not None and refused.remedy == "run as root, in no container")


def test_a_machine_without_the_node_is_told_the_module(monkeypatch: pytest.MonkeyPatch) -> None:
    gone = devices.Device(devices.VHOST_VDPA, exists=False)
    monkeypatch.setattr(devices, "read", lambda _path: gone)
    missing = vhost_vdpa.MODE.plain.missing(qemu("vhost-vdpa"))
    assert missing is not None
    assert devices.VHOST_VDPA in missing.reason
    assert "modprobe vhost_vdpa" in missing.remedy or "--device /dev/vhost-vdpa-0" in missing.remedy
