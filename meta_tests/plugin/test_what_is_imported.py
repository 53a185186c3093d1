"""Which of the shipped tests' files a session imports."""

import subprocess
import sys

import pytest

from meta_tests.patience import limit
from meta_tests.qemunet_command import clean_environment

IMPORTED = """
import sys, pytest
pytest.main(["--collect-only", "-q", "-p", "no:cacheprovider", "--pyargs", *sys.argv[1:]])
print("imported", *sorted(name.rpartition(".")[2] for name in sys.modules if ".conformance.test_" in name))
"""
ALL = "qemunet_tests.conformance"


@pytest.mark.parametrize(
    ("words", "files"),
    [
        ((ALL, "--qemunet-claims=user/lease-time"), "test_user"),
        ((ALL, "--qemunet-claims=bridge/acl-all*", "--qemunet-claims=user/lease-time"), "test_bridge_acl test_user"),
        ((f"{ALL}.test_bridge_acl", "--qemunet-claims=user/lease-time"), "test_bridge_acl"),
    ],
    ids=["one", "two", "named"],
)
def test_files_without_a_wanted_claim_are_left_alone(words: tuple[str, ...], files: str) -> None:
    command = [sys.executable, "-c", IMPORTED, *words]
    done = subprocess.run(
        command, env=clean_environment(), capture_output=True, text=True, timeout=limit(60), check=False
    )
    assert done.stdout.rpartition("imported ")[2].strip() == files, done.stdout + done.stderr


def test_without_claims_all_are_collected() -> None:
    command = [sys.executable, "-c", IMPORTED, ALL]
    done = subprocess.run(
        command, env=clean_environment(), capture_output=True, text=True, timeout=limit(60), check=False
    )
    assert len(done.stdout.rpartition("imported ")[2].split()) > 50, done.stdout + done.stderr
