"""A QEMU that somebody has killed, the kernel for want of memory or a person: it has refused and broken nothing."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from meta_tests.qemunet_command import clean_environment
from meta_tests.user_accounts import CHECKOUT
from qemunet_tests.guest.bench import Bench
from qemunet_tests.host import oom_kills
from qemunet_tests.isolation.namespaces import SCRATCH
from qemunet_tests.qemu.command_line import LaunchFailed

#: Sees nothing, as a claim does whose QEMU does not do what is promised.
SEES_NOTHING = """
import os, pytest
@pytest.mark.claim("user/gateway")
def test_gateway(user_peer):
    os.kill(user_peer.qemu.process.pid, {number})
    user_peer.qemu.process.wait()
    assert user_peer.receive(lambda frame: True, 0.1), "no answer"
"""


@pytest.mark.parametrize(
    ("number", "verdict", "reason"),
    [
        (signal.SIGKILL, "inconclusive", "a QEMU was killed by SIGKILL"),
        # That is what becomes of it by its own faults.
        (signal.SIGSEGV, "broken", "no answer"),
    ],
)
def test_what_a_claim_sees_of_it(tmp_path: Path, number: int, verdict: str, reason: str) -> None:
    (tmp_path / "test_it.py").write_text(SEES_NOTHING.format(number=int(number)))
    words = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--qemunet-target=lab", str(tmp_path)]
    done = subprocess.run(
        [*words, f"--qemunet-report={tmp_path}/out"],
        cwd=CHECKOUT, env=clean_environment(), capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert (tmp_path / "out/results.json").is_file(), done.stdout + done.stderr
    (found,) = json.loads((tmp_path / "out/results.json").read_text())["verdicts"]
    assert found["verdict"] == verdict, found
    assert found["reason"].startswith(reason)
    assert found["reason"].endswith("no answer")


@pytest.mark.parametrize(("does", "status"), [("exit 1", 1), ("kill -9 $PPID", -9), ("kill -6 $PPID", -6)])
def test_what_an_attempt_sees_of_it(bench: Bench, does: str, status: int) -> None:
    helper = SCRATCH / f"helper{status}"
    helper.write_text(f"#!/bin/sh\n{does}\n")
    helper.chmod(0o755)
    words = ("-netdev", f"bridge,id=n,br=br0,helper={helper}")
    if status == -signal.SIGKILL:
        with pytest.raises(LaunchFailed, match=r"did not start \(killed by SIGKILL\)"):
            bench.attempt(*words)
    else:
        tried = bench.attempt(*words)
        assert (tried.started, tried.status) == (False, status)


def test_what_the_kernel_has_ended_is_counted(tmp_path: Path) -> None:
    file = tmp_path / "proc/vmstat"
    assert (oom_kills.count(tmp_path), oom_kills.said_since(None, tmp_path)) == (None, "")
    file.parent.mkdir()
    file.write_text("drop_pagecache 2\noom_kill 3\nnuma_hit 17\n")
    assert oom_kills.said_since(3, tmp_path) == ""
    assert oom_kills.said_since(2, tmp_path).endswith(" ended a process for want of memory meanwhile")
    assert oom_kills.said_since(1, tmp_path).endswith(" ended 2 processes for want of memory meanwhile")
    assert oom_kills.count() is not None, "this kernel says nothing of it"
