"""An smbd that somebody kills or stops while a promise is tried: nothing is called broken."""

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from qemunet_tests.guest.bench import Bench
from qemunet_tests.guest.peer import Peer
from qemunet_tests.host import process_table
from qemunet_tests.isolation.namespaces import scratch
from qemunet_tests.network import Lab
from qemunet_tests.network.smb_server import why_no_smbd


@contextlib.contextmanager
def signalled(number: int) -> Iterator[None]:
    """Meanwhile every smbd of this run gets a signal as soon as it is there."""
    over = threading.Event()

    def look() -> None:
        while not over.wait(0.02):
            for pid in process_table.pids():
                words = process_table.words(pid)
                if words[:1] == ["smbd"] and any(str(scratch()) in word for word in words):
                    with contextlib.suppress(OSError):
                        os.kill(pid, number)

    looking = threading.Thread(target=look)
    looking.start()
    try:
        yield
    finally:
        over.set()
        looking.join()


@pytest.mark.parametrize(
    ("number", "said"), [(signal.SIGKILL, "has ended (status -9)"), (signal.SIGSTOP, "is stopped")]
)
def test_an_smbd_that_cannot_run(
    lab: Lab, bench: Bench, shared_folder: Path, attach_user_peer: Callable[..., Peer], number: int, said: str
) -> None:
    attach_user_peer(f"smb={shared_folder}")
    assert lab.services.failing() is None
    with signalled(number):
        assert why_no_smbd(bench.station, bench.identity) == said
        assert lab.services.failing() == f"the smbd of smb= {said}"
    assert lab.services.failing() is None
