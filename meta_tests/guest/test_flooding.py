"""What QEMU writes lies in memory: no file of it grows without limit."""

import signal

from qemunet_tests.guest.bench import Bench
from qemunet_tests.qemu.launcher import LIMIT_BYTES, OWN


def test_no_file_of_qemus_outgrows_its_limit(bench: Bench) -> None:
    launcher = bench._launcher.launcher
    _, folder = launcher.new_folder("flood")
    place = folder / OWN
    for at, ends in ((LIMIT_BYTES - 2, 0), (LIMIT_BYTES, -signal.SIGXFSZ)):
        flooding = launcher.start(["dd", "if=/dev/zero", f"of={place}/file", "bs=1", "count=1", f"seek={at}"])
        assert flooding.wait(30) == ends
    assert (place / "file").stat().st_size <= LIMIT_BYTES
