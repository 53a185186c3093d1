"""Runs that are under way at the same time do not disturb each other: each has its own network, ports and files."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from meta_tests.patience import limit

CHECKOUT = Path(__file__).parents[2]
#: Port 2222, the bridge with its access list, leases, and a peer: what would collide.
CLAIMS = ("user/hostfwd-ssh-2222", "bridge/lease-known-to-server", "bridge/acl-not-listed", "user/address")


def start(report: Path, *words: str) -> subprocess.Popen[bytes]:
    claims = [f"--qemunet-claims={claim}" for claim in CLAIMS]
    command = [sys.executable, "-m", "pytest", "--pyargs", "qemunet_tests.conformance", "-p", "no:cacheprovider"]
    return subprocess.Popen(
        [*command, "--qemunet-accel=tcg", f"--qemunet-report={report}", *claims, *words],
        cwd=CHECKOUT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip


def verdicts(report: Path) -> dict[str, str]:
    results = json.loads((report / "results.json").read_text())
    return {each["claim"]: each["verdict"] for each in results["verdicts"]}


def test_two_runs_at_the_same_moment(tmp_path: Path) -> None:
    reports = [tmp_path / "one", tmp_path / "two"]
    runs = [start(report) for report in reports]
    assert [run.wait(limit(300)) for run in runs] == [0, 0]
    assert [verdicts(report) for report in reports] == [dict.fromkeys(CLAIMS, "holds")] * 2


@pytest.mark.slow
@pytest.mark.parametrize("time", range(5))
def test_eight_workers(tmp_path: Path, time: int) -> None:
    assert start(tmp_path, "-n", "8").wait(limit(600)) == 0
    assert verdicts(tmp_path) == dict.fromkeys(CLAIMS, "holds")
