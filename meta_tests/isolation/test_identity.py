"""Who QEMU is: an ordinary user without capabilities, whoever starts the run."""

import os
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from qemunet_tests.guest.bench import Bench
from qemunet_tests.guest.guest import Guest
from qemunet_tests.isolation.identity import NOBODY_ID, Identity, unprivileged
from qemunet_tests.modes.bridge import BridgeNetdev
from qemunet_tests.modes.user import UserNetdev
from qemunet_tests.qemu.launcher import OWN
from qemunet_tests.qemu.netdev import Nic

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
NET_ADMIN = 1 << 12


def status(pid: int) -> dict[str, str]:
    """What /proc/PID/status says."""
    rows = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {name: value.strip() for name, _, value in (row.partition(":") for row in rows)}


@pytest.fixture(params=[UserNetdev(), BridgeNetdev()], ids=["user", "bridge"])
def guest(request: pytest.FixtureRequest, bench: Bench) -> Iterator[Guest]:
    guest = bench.boot(Nic(request.param), network=False)
    yield guest
    bench.discard(guest)


def test_qemu_is_no_root_and_has_no_capabilities(guest: Guest, bench: Bench) -> None:
    said = status(guest.qemu.process.pid)
    assert said["Name"].startswith("qemu")
    assert set(said["Uid"].split()) == {str(bench.identity.uid)}
    assert "0" not in {*said["Uid"].split(), *said["Gid"].split(), *said["Groups"].split()}
    lent = 0
    if isinstance(guest.nics[0].netdev, BridgeNetdev) and not bench.helper.give_setuid():
        # With nobody whom a setuid bit could turn the helper into, QEMU is lent what the bit would give.
        lent = NET_ADMIN
    for kind in ("CapInh", "CapPrm", "CapEff", "CapAmb"):
        assert int(said[kind], 16) == lent, (kind, said[kind])


@as_root
def test_the_run_itself_is_root() -> None:
    """So that the test above could fail."""
    said = status(os.getpid())
    assert said["Uid"].split()[0] == "0"
    assert int(said["CapEff"], 16)


def test_qemu_can_write_where_it_must_and_no_further(shared_guest: Guest, bench: Bench) -> None:
    assert (shared_guest.folder / OWN).stat().st_uid == bench.identity.uid
    assert shared_guest.folder.stat().st_mode & 0o022 == 0
    assert shared_guest.folder.parent.stat().st_mode & 0o002 == 0


@pytest.fixture
def sudo(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in ("SUDO_UID", "SUDO_GID"):
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


@as_root
def test_root_runs_guests_as_nobody(sudo: pytest.MonkeyPatch) -> None:
    found = unprivileged()
    assert (found.uid, found.gid) == (NOBODY_ID, NOBODY_ID)


@as_root
def test_sudo_runs_guests_as_the_caller(sudo: pytest.MonkeyPatch) -> None:
    sudo.setenv("SUDO_UID", "1000")
    sudo.setenv("SUDO_GID", "1001")
    found = unprivileged()
    assert (found.uid, found.gid) == (1000, 1001)
    assert "--reuid=1000" in found.prefix()
    assert "--regid=1001" in found.prefix()


@as_root
@pytest.mark.parametrize(("uid", "gid"), [("0", "0"), ("nonsense", "1000"), ("-1", "-1"), ("", "")])
def test_root_by_way_of_sudo_is_not_the_user(sudo: pytest.MonkeyPatch, uid: str, gid: str) -> None:
    sudo.setenv("SUDO_UID", uid)
    sudo.setenv("SUDO_GID", gid)
    found = unprivileged()
    assert (found.uid, found.gid) == (NOBODY_ID, NOBODY_ID)


def test_a_group_of_roots_own_is_never_handed_on(sudo: pytest.MonkeyPatch) -> None:
    assert 0 not in unprivileged().groups


def test_capabilities_are_dropped_but_for_those_asked_for() -> None:
    words = Identity(1000, 1000).prefix(("net_raw", "net_admin"))
    assert "--inh-caps=-all,+net_admin,+net_raw" in words
    assert "--ambient-caps=-all,+net_admin,+net_raw" in words
    assert words[-1] == "--"


@as_root
@pytest.mark.parametrize(("own", "left"), [((), "1000"), ((44, 45), "1000 44 45")])
def test_no_group_of_the_callers_is_handed_on(own: tuple[int, ...], left: str) -> None:
    """Whoever is in adm or docker would hand a guest that breaks out what these may."""

    def groups(*words: str) -> str:
        asked = [*words, "id", "-G"]
        return subprocess.run(
            asked, extra_groups=[4, 998], stdout=subprocess.PIPE, text=True, check=True
        ).stdout.strip()

    assert {"4", "998"} <= set(groups().split())
    assert groups(*Identity(1000, 1000, own).prefix()) == left


def test_an_id_without_a_name() -> None:
    assert Identity(4_000_000, 4_000_000).name == "4000000"
    assert Identity(0, 0).name == "root"


def test_an_id_may_have_no_name() -> None:
    """As in a container that was started with --user: QEMU's smb= is unavailable to it."""
    assert Identity(0, 0).named
    nameless = Identity(54_321, 54_321)
    assert not nameless.named
    assert nameless.name == "54321"


def test_a_helper_has_its_setuid_bit_again_after_a_test_without(bench: Bench) -> None:
    if not bench.helper.give_setuid():
        pytest.skip("there is nobody whom a setuid bit could turn the helper into")
    with pytest.raises(AssertionError, match="the test breaks"), bench.helper.without_setuid():
        assert not bench.helper.path.stat().st_mode & stat.S_ISUID, "it has the bit"
        raise AssertionError("the test breaks")
    assert bench.helper.path.stat().st_mode & stat.S_ISUID
