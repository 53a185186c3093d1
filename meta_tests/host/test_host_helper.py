"""Whether the bridge helper has its privilege: our answer against the real helper, set up in every way."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from meta_tests.patience import limit
from meta_tests.samples.healthy_host import ALICE
from qemunet_tests.errors import Unavailable
from qemunet_tests.host import helper_program as helpers
from qemunet_tests.host import system
from qemunet_tests.qemu import qemu_facts

AMBIENT = "--inh-caps=+net_admin --ambient-caps=+net_admin"

#: Name, what is done to a copy of the helper, how it is run, and what our reason must say where it fails.
CASES = [
    ("plain", "chmod 0755 $H", "", "is neither setuid root"),
    ("setuid", "chmod 4755 $H", "", None),
    ("setuid, another owner", "chown 1000 $H; chmod 4755 $H", "", "is setuid, but to user 1000"),
    ("setuid, a group's", "chown 0:4242 $H; chmod 4750 $H", "", "may not be executed"),
    ("setuid, nosuid", "chmod 4755 $H; mount -o remount,nosuid /mnt", "", "mounted nosuid"),
    ("setuid, no_new_privs", "chmod 4755 $H", "--no-new-privs", "no_new_privs is set"),
    ("setuid, bounded", "chmod 4755 $H", "--bounding-set=-net_admin", "took CAP_NET_ADMIN away"),
    ("capability", "CAPABILITY 1", "", None),
    ("capability, not effective", "CAPABILITY 0", "", "is neither setuid root"),
    ("capability, nosuid", "CAPABILITY 1; mount -o remount,nosuid /mnt", "", "mounted nosuid"),
    ("capability, no_new_privs", "CAPABILITY 1", "--no-new-privs", "no_new_privs is set"),
    ("ambient", "chmod 0755 $H", AMBIENT, None),
    ("ambient, no_new_privs", "chmod 0755 $H", f"{AMBIENT} --no-new-privs", None),
]  # fmt: skip

#: Runs as real root in mount and network namespaces of its own.
HOST = """
import json, os, pathlib, shutil, struct, subprocess, sys
from qemunet_tests.isolation.syscalls import CLONE_NEWNET, CLONE_NEWNS, MS_PRIVATE, MS_REC, mount, unshare
try:
    unshare(CLONE_NEWNS | CLONE_NEWNET)
except OSError as refused:
    print(json.dumps(str(refused)))
    sys.exit()
mount("none", "/", None, MS_REC | MS_PRIVATE)
helper, ask = sys.argv[1:]
libraries = pathlib.Path("/etc/ld.so.cache").read_bytes()
mount("none", "/etc", "tmpfs", 0, "mode=0755")
pathlib.Path("/etc/ld.so.cache").write_bytes(libraries)
os.mkdir("/etc/qemu")
pathlib.Path("/etc/qemu/bridge.conf").write_text("allow br0")
subprocess.run(["ip", "link", "add", "br0", "type", "bridge"], check=True)
answers = []
for _, setup, how, _ in json.load(sys.stdin):
    mount("none", "/mnt", "tmpfs", 0, "mode=0755")
    copy = "/mnt/qemu-bridge-helper"
    shutil.copy(helper, copy)
    for command in setup.split("; "):
        if command.startswith("CAPABILITY"):
            attribute = struct.pack("<IIIII", 0x02000000 | int(command[-1]), 1 << 12, 0, 0, 0)
            os.setxattr(copy, "security.capability", attribute)
        else:
            subprocess.run(["sh", "-ec", command], check=True, env={**os.environ, "H": copy})
    user = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", *how.split()]
    ours = subprocess.run([*user, sys.executable, "-c", ask, copy], capture_output=True, text=True)
    # By way of env, because setpriv itself still has root's way with closed files.
    theirs = subprocess.run([*user, "env", copy, "--br=br0", "--fd=9"], capture_output=True, text=True)
    answers.append([ours.stdout + ours.stderr, theirs.stderr])
    subprocess.run(["umount", "/mnt"], check=True)
print(json.dumps(answers))
"""

#: What os-release says, where that distribution's QEMU looks, and what its administrator is told to do.
DISTRIBUTIONS = [
    ("ID=debian", "/usr/lib/qemu", "sudo dpkg-statoverride --update --add root root 4755 {}"),
    ("ID=ubuntu\nID_LIKE=debian", "/usr/lib/qemu", "sudo dpkg-statoverride --update --add root root 4755 {}"),
    ("ID=fedora", "/usr/libexec", "sudo chown root:root {0} && sudo chmod 4755 {0}"),
    ('ID="rocky"\nID_LIKE="rhel centos fedora"', "/usr/libexec", "sudo chown root:root {0} && sudo chmod 4755 {0}"),
    ("ID=arch", "/usr/lib/qemu", "sudo chown root:root {0} && sudo chmod 4755 {0}"),
    ("ID=nixos", "/nix/store/abc-qemu-9.2.4/libexec", "security.wrappers.qemu-bridge-helper"),
]


def installed(root: Path, folder: str, mode: int) -> str:
    """Put a helper into the tree and return where it is."""
    path = f"{folder}/qemu-bridge-helper"
    place = root / path.lstrip("/")
    place.parent.mkdir(parents=True)
    place.write_text("")
    place.chmod(mode)
    return path


@pytest.mark.parametrize(
    ("release", "folder", "remedy"), DISTRIBUTIONS, ids=[one[0].split()[0] for one in DISTRIBUTIONS]
)
def test_the_privilege_is_given_as_the_distribution_wants_it(
    release: str, folder: str, remedy: str, tmp_path: Path
) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/os-release").write_text(release)
    path = installed(tmp_path, folder, 0o755)
    lacking = helpers.unprivileged(helpers.read(path, tmp_path), ALICE, system.read(tmp_path, {}))
    assert lacking is not None
    assert "neither setuid root" in lacking.reason
    assert remedy.format(path) in lacking.remedy


@pytest.mark.parametrize(("release", "folder", "_remedy"), DISTRIBUTIONS[:-1])
def test_known_places_are_looked_at_when_no_qemu_names_one(
    release: str, folder: str, _remedy: str, tmp_path: Path
) -> None:
    assert helpers.read(None, tmp_path).path == "/usr/lib/qemu/qemu-bridge-helper"
    path = installed(tmp_path, folder, 0o755)
    assert helpers.read(None, tmp_path) == helpers.read(path, tmp_path)
    assert helpers.read("/opt/qemu-bridge-helper", tmp_path).elsewhere == (path,)


@pytest.mark.skipif(os.getuid() != 0, reason="only root can make files that are setuid root")
def test_a_wrapper_with_the_privilege_is_recommended_instead_of_the_one_without(tmp_path: Path) -> None:
    """As on NixOS, where nothing in the store can be setuid and QEMU knows the store only."""
    path = installed(tmp_path, "/nix/store/abc-qemu-9.2.4/libexec", 0o755)
    installed(tmp_path, "/usr/libexec", 0o755)
    wrapper = installed(tmp_path, "/run/wrappers/bin", 0o4755)
    here = system.read(tmp_path, {})
    lacking = helpers.unprivileged(helpers.read(path, tmp_path), ALICE, here)
    assert lacking is not None
    assert f"helper={wrapper}" in lacking.remedy
    (tmp_path / path.lstrip("/")).unlink()
    gone = helpers.missing(helpers.read(path, tmp_path), here, ALICE)
    assert gone is not None
    assert gone.remedy == f"pass -netdev bridge,br=br0,helper={wrapper}"


ASK = """
import sys
from qemunet_tests.host import credentials, helper_program as helper, system as machine
found, ourselves, here = helper.read(sys.argv[1]), credentials.read(), machine.read()
lacking = helper.missing(found, here, ourselves) or helper.unprivileged(found, ourselves, here)
print(lacking.reason if lacking else "nothing")
"""


@pytest.mark.skipif(os.getuid() != 0, reason="only root can make setuid files and become somebody else")
def test_we_know_when_the_helper_can_make_a_tap() -> None:
    try:
        helper = qemu_facts.find().helper_path
    except Unavailable as lacking:
        pytest.skip(lacking.reason)
    python = os.path.realpath(sys.executable)
    as_nobody = ["setpriv", "--reuid=65534", "--clear-groups", python, "-c", ""]
    can = subprocess.run(as_nobody, capture_output=True, check=False)
    if helper is None or can.returncode != 0:
        pytest.skip("there is no helper, or this Python is closed to other users")
    done = subprocess.run(
        [sys.executable, "-c", HOST, helper, ASK], input=json.dumps(CASES), capture_output=True, text=True,
        timeout=limit(60), check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    answers = json.loads(done.stdout)
    if isinstance(answers, str):
        pytest.skip(f"namespaces cannot be made here: {answers}")
    for (name, _, _, reason), (ours, theirs) in zip(CASES, answers, strict=True):
        made_a_tap = "failed to write fd" in theirs
        assert made_a_tap == (ours.strip() == "nothing"), (name, ours, theirs)
        assert made_a_tap == (reason is None), (name, theirs)
        assert (reason or "nothing") in ours, (name, ours)
