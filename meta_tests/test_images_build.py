"""Building from nothing, as an ordinary user."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

NOBODY = 65534
BUILD = """
import os
from pathlib import Path
from qemunet_tests import images
from qemunet_tests.images import shelf
own = Path(os.environ["QEMUNET_CACHE"])
shelf.readable_caches = lambda: [own]
image = images.ensure()
assert image.folder.is_relative_to(own)
assert images.build() == image, "nothing changed, and yet it was built again"
print(image.digest)
"""


@pytest.mark.slow
def test_an_ordinary_user_without_anything_builds_it(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("nobody")
    for place in (folder, *folder.parents[:2]):
        if place.owner() == folder.owner():
            place.chmod(0o711)
    command = [sys.executable, "-c", BUILD]
    if os.getuid() == 0:
        os.chown(folder, NOBODY, NOBODY)
        command = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--no-new-privs", *command]
    environment = {"PATH": "/usr/bin:/bin", "HOME": "/nonexistent", "QEMUNET_CACHE": str(folder / "cache")}
    checkout = Path(__file__).parent.parent
    done = subprocess.run(command, cwd=checkout, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.strip()) == 64
