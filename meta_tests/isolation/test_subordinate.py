"""Ids that were lent to an ordinary user: with them the lab has a root, without them it has none."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from meta_tests.patience import limit
from meta_tests.user_accounts import CHECKOUT, NOBODY, Account

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root to lend ids"),
    pytest.mark.skipif(not shutil.which("newuidmap"), reason="needs newuidmap"),
]

MAP = """
from qemunet_tests.isolation import namespaces
namespaces.enter()
print([row.split() for row in open("/proc/self/uid_map")])
"""
LEND = 'mount --bind "$0" /etc/subuid && exec "$@"'


def map_with(lent: str, folder: Path) -> str:
    """The id map of nobody's lab where /etc/subuid says `lent`."""
    account = Account("nobody", NOBODY, NOBODY)
    if not account.can_read(CHECKOUT):
        pytest.skip(f"{CHECKOUT} is closed to ordinary users")
    file = folder / "subuid"
    file.write_text(lent)
    file.chmod(0o644)
    words = ["unshare", "-m", "sh", "-c", LEND, str(file), *account.prefix, sys.executable, "-c", MAP]
    done = subprocess.run(
        words, cwd=CHECKOUT, env=account.environment, capture_output=True, text=True, timeout=limit(30), check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize("lent", ["nobody:100000:65536\n", "somebody:1:2\n65534:100000:1\n"])
def test_the_first_lent_id_becomes_root(lent: str, tmp_path: Path) -> None:
    assert map_with(lent, tmp_path) == "[['0', '100000', '1'], ['65534', '65534', '1']]"


@pytest.mark.parametrize("lent", ["", "somebody:100000:65536\n", "nobody:nonsense\n", "nobody:nonsense:1\n"])
def test_without_lent_ids_there_is_one(lent: str, tmp_path: Path) -> None:
    assert map_with(lent, tmp_path) == "[['65534', '65534', '1']]"
