"""Errors of others' packets reach QEMU's raw sockets, too, and libslirp makes answers of them: they are no verdict."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from meta_tests.patience import limit
from meta_tests.qemunet_command import clean_environment
from meta_tests.user_accounts import CHECKOUT

RAW = "user/icmp-raw-dead-host"
UNTOLD = "the host itself is not told by ICMP that nobody is at 198.51.100.1"


@pytest.mark.parametrize(
    "claim", [RAW, pytest.param("user/icmp-outside-raw", marks=pytest.mark.slow)], ids=["peer", "guest"]
)
def test_what_becomes_of_others_packets_is_no_answer_to_a_ping(tmp_path: Path, claim: str) -> None:
    command = [
        sys.executable, "-m", "pytest", "--pyargs", "qemunet_tests.conformance", "-p", "no:cacheprovider",
        "-p", "meta_tests.planted.errors_of_others", f"--qemunet-claims={claim}", f"--qemunet-report={tmp_path}",
    ]  # fmt: skip
    done = subprocess.run(
        command, cwd=CHECKOUT, env=clean_environment(), capture_output=True, text=True, timeout=limit(120), check=False
    )
    assert (tmp_path / "results.json").is_file(), done.stdout + done.stderr
    (verdict,) = json.loads((tmp_path / "results.json").read_text())["verdicts"]
    assert (verdict["verdict"], verdict["reason"]) == ("inconclusive", UNTOLD)
