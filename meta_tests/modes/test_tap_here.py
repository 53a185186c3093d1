"""What of taps can be tried on a machine: whether anybody else is there, and whether the kernel has vhost."""

import errno
from pathlib import Path

import pytest

from qemunet_tests.host.devices import VHOST_NET, Device
from qemunet_tests.isolation.identity import Identity
from qemunet_tests.modes import tap

HIM = Identity(54321, 54321, (36,))


def maps(root: Path, text: str) -> Path:
    """A machine on which a process has this uid_map."""
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/self/uid_map").write_text(text)
    return root


@pytest.mark.parametrize("text", ["0 0 4294967295\n", "0 100000 1\n1000 1000 1\n", "0 0 1\n1 1 65535\n"])
def test_a_tap_may_be_roots_where_there_is_a_root(text: str, tmp_path: Path) -> None:
    assert tap.nobody_else(maps(tmp_path, text)) is None


def test_where_there_is_one_user_no_tap_is_somebody_elses(tmp_path: Path) -> None:
    obstacle = tap.nobody_else(maps(tmp_path, "1000 1000 1\n"))
    assert obstacle is not None
    assert "one user alone" in obstacle.reason
    assert "newuidmap" in (obstacle.remedy or "")


@pytest.mark.parametrize(("mode", "gid"), [(0o666, 0), (0o660, 36)])
def test_vhost_is_had_by_whom_its_device_is_open_to(mode: int, gid: int) -> None:
    assert tap.missing_vhost(HIM, Device(VHOST_NET, True, True, mode, 0, gid)) is None


def test_what_is_open_to_us_alone_is_not_open_to_qemu() -> None:
    obstacle = tap.missing_vhost(HIM, Device(VHOST_NET, True, True, 0o600))
    assert obstacle is not None
    assert obstacle.reason == "/dev/vhost-net is not open to 54321, whom QEMU runs as"
    assert obstacle.remedy == "sudo setfacl -m u:54321:rw /dev/vhost-net"


def test_what_is_not_there_is_missing() -> None:
    missing = Device(VHOST_NET, False, open_errno=errno.ENOENT)
    assert tap.missing_vhost(HIM, missing) is not None
    assert tap.vhost_in_the_way(missing) is None


def test_what_is_there_cannot_be_seen_to_be_missing() -> None:
    obstacle = tap.vhost_in_the_way(Device(VHOST_NET, True, True, 0o600))
    assert obstacle is not None
    assert (obstacle.reason, obstacle.remedy) == ("there is /dev/vhost-net here", "sudo modprobe -r vhost_net")
