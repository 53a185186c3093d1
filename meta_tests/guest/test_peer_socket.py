"""The end of the wire at which a peer is."""

import os
import signal
import socket
from pathlib import Path

import pytest

from meta_tests.patience import limit
from qemunet_tests.deadline import Deadline
from qemunet_tests.errors import HarnessError
from qemunet_tests.guest.peer import Peer, PeerSocket
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


def test_of_a_qemu_that_takes_no_frames_it_is_said_how_it_has_ended(user_peer: Peer) -> None:
    assert user_peer.qemu
    user_peer.wire.put(b"frame")
    user_peer.qemu.process.send_signal(signal.SIGSEGV)
    user_peer.qemu.process.wait()
    # A ring of io_uring, which QEMU 11.1 has, lets go of its socket when the kernel finds time to.
    gone = Deadline(limit(10), "the kernel to close QEMU's socket")
    with pytest.raises(HarnessError, match=r"refused; it has ended \(killed by SIGSEGV\) and said nothing$"):
        gone.wait_until(lambda: user_peer.wire.put(b"frame"))


def test_of_a_qemu_that_takes_no_frames_it_is_said_that_it_runs(user_peer: Peer, tmp_path: Path) -> None:
    assert user_peer.qemu
    (tmp_path / OWN).mkdir()
    wire = PeerSocket(tmp_path, qemu=lambda: user_peer.qemu)
    with pytest.raises(HarnessError, match=rf"it runs \(process {user_peer.qemu.process.pid}\)$"):
        wire.put(b"frame")
    wire.close()
