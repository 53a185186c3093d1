"""Building from nothing, as an ordinary user."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

NOBODY = 65534
BUILD = """
import os
from pathlib import Path
from qemunet_tests import images
from qemunet_tests import cache
own = Path(os.environ["QEMUNET_CACHE"])
cache.readable_caches = lambda: [own]
image = images.ensure()
assert image.folder.is_relative_to(own)
assert images.build() == image, "nothing changed, and yet it was built again"
print(image.digest)
"""


@pytest.fixture
def own_folder() -> Iterator[Path]:
    """An ordinary user's folder. Not below pytest's own, which other sessions of this user close to everybody else."""
    with tempfile.TemporaryDirectory(dir="/var/tmp", prefix="qemunet-") as folder:
        if os.getuid() == 0:
            os.chown(folder, NOBODY, NOBODY)
        yield Path(folder)


@pytest.mark.slow
def test_an_ordinary_user_without_anything_builds_it(own_folder: Path) -> None:
    command = [sys.executable, "-c", BUILD]
    if os.getuid() == 0:
        command = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--no-new-privs", *command]
    environment = {"PATH": "/usr/bin:/bin", "HOME": "/nonexistent", "QEMUNET_CACHE": str(own_folder / "cache")}
    checkout = Path(__file__).parents[2]
    done = subprocess.run(command, cwd=checkout, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.strip()) == 64
