"""CPU time of all that a process started: of what runs, of what ended, and of orphans in the PID namespace."""

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from meta_tests.patience import soon
from qemunet_tests.deadline import Deadline
from qemunet_tests.isolation import namespaces
from qemunet_tests.isolation.cpu_time import spent_seconds
from qemunet_tests.isolation.processes import Spawner

WORK = "import time\nwhile time.process_time() < 0.5: pass\n"
WORKED = f'{sys.executable} -c "{WORK}"'
BOUND_SECONDS = 0.4


@pytest.fixture
def own(spawner: Spawner) -> Iterator[Spawner]:
    own = Spawner(os.getpid())
    yield own
    own.close()


def spent() -> float:
    seconds = spent_seconds()
    assert seconds is not None, "this kernel does not list children"
    return seconds


@pytest.mark.parametrize("words", [WORKED, f"{WORKED} & wait; :"], ids=["child", "grandchild"])
def test_what_ended_is_counted(words: str) -> None:
    before = spent()
    subprocess.run(["sh", "-c", words], check=True)
    assert BOUND_SECONDS < spent() - before < soon(3)


def test_what_still_runs_is_counted() -> None:
    before = spent()
    with subprocess.Popen([sys.executable, "-c", WORK + "input()"], stdin=subprocess.PIPE) as running:
        Deadline(soon(20), "half a second of work").wait_until(lambda: spent() - before > BOUND_SECONDS)
        assert running.poll() is None
        running.kill()


def test_an_orphan_is_counted_when_it_is_gone(own: Spawner) -> None:
    kept, before = own.reaper.keeps(), spent()
    own.run(["sh", "-c", f"{WORKED} & exit"], network=namespaces.current_network(), within_seconds=soon(5))
    assert len(own.reaper.keeps()) > len(kept), "it ended at once"
    Deadline(soon(20), "the orphan's end").wait_until(lambda: own.reaper.keeps() == kept)
    assert spent() - before > BOUND_SECONDS
