"""Platforms and containers that lack what a Debian host has: what needs it is unavailable, and the run goes on."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from meta_tests.patience import limit
from meta_tests.user_accounts import CHECKOUT, NOBODY

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to cover things")


def run_covered(script: str, *words: str) -> subprocess.CompletedProcess[str]:
    """A program that is started after a shell's script has changed its private mounts. `$1` is the first word."""
    return subprocess.run(
        ["unshare", "--mount", "--propagation", "private", "sh", "-ec", script + ' && exec "$@"', "sh", *words],
        cwd=CHECKOUT, capture_output=True, text=True, timeout=limit(240), check=False,
    )  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("program", ["netplan", "systemd-networkd"])
def test_without_netplan_its_claims_are_unavailable_and_others_are_tried(program: str, tmp_path: Path) -> None:
    folders = ("/usr/sbin", "/usr/bin", "/sbin", "/bin", "/usr/lib/systemd", "/lib/systemd")
    found = shutil.which(program, path=os.pathsep.join(folders))
    if not found:
        pytest.skip(f"{program} is not installed in the first place")
    # What is no program is found by no search.
    cover = 'mount --bind /dev/null "$1" && shift'
    qemunet = f"{CHECKOUT}/.venv/bin/qemunet"
    claims = ["bridge/netplan-makes-bridge", "bridge/netplan-lease", "user/dns-offered"]
    done = run_covered(cover, str(Path(found).resolve()), qemunet, "run", *claims, "--report", str(tmp_path))
    verdicts = {each["claim"]: each for each in json.loads((tmp_path / "results.json").read_text())["verdicts"]}
    for claim in claims[:2]:
        assert verdicts[claim]["verdict"] == "unavailable", verdicts[claim]
        assert verdicts[claim]["reason"] == f"{program} is not installed"
        assert verdicts[claim]["remedy"]
    assert verdicts["user/dns-offered"]["verdict"] == "holds"
    assert done.returncode == 0


@pytest.mark.slow
def test_a_containers_root_who_may_not_look_at_others_is_told_the_capability(tmp_path: Path) -> None:
    less = ["setpriv", "--bounding-set=-sys_ptrace", "--inh-caps=-sys_ptrace", "--"]
    words = [
        *less,
        f"{CHECKOUT}/.venv/bin/qemunet",
        "run",
        "bridge/backend-is-tap-in-bridge",
        "--report",
        str(tmp_path),
    ]
    done = run_covered("true", *words)
    (verdict,) = json.loads((tmp_path / "results.json").read_text())["verdicts"]
    assert verdict["verdict"] == "unavailable", verdict
    assert "--cap-add SYS_PTRACE" in verdict["remedy"]
    assert done.returncode == 3


SETTLE = """
import os
from qemunet_tests.isolation import namespaces, on_real_host as staying
reaper = staying.start_reaper(os.getpid())
print(namespaces.scratch())
reaper.close()
"""


@pytest.mark.parametrize(("room", "in_shared_memory"), [("size=64m", False), ("size=2g", True)])
def test_a_run_on_the_host_writes_where_there_is_room(room: str, in_shared_memory: bool) -> None:
    """A container's /dev/shm has 64 MB."""
    user = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--inh-caps=-all", "--"]
    done = run_covered(f"mount -t tmpfs -o {room},mode=1777 shm /dev/shm", *user, sys.executable, "-c", SETTLE)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("/dev/shm/") == in_shared_memory, done.stdout
