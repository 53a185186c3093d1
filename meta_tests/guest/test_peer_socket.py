"""The end of the wire at which a peer is."""

import os
import socket
from pathlib import Path

from qemunet_tests.guest.peer import PeerSocket
from qemunet_tests.qemu.launcher import OWN


def test_closed_twice_it_closes_nobody_elses_descriptor(tmp_path: Path) -> None:
    (tmp_path / OWN).mkdir()
    wire = PeerSocket(tmp_path)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as of_qemu:
        of_qemu.bind(str(tmp_path / OWN / "qemu0.sock"))
        wire.put(b"frame")
        assert of_qemu.recv(100) == b"frame"
        wire.close()
        # It takes the number that was let go of.
        taken = os.open("/dev/null", os.O_RDONLY)
        wire.close()
        os.close(taken)
