"""Nothing that a run starts outlives it: the reaper, and the spawner that hands it what it keeps."""

import contextlib
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from meta_tests.patience import limit
from qemunet_tests.deadline import Deadline
from qemunet_tests.errors import HarnessError, TimedOut
from qemunet_tests.isolation import namespaces
from qemunet_tests.isolation.processes import Process, Spawner

CHECKOUT = Path(__file__).parents[2]


@pytest.fixture
def own(spawner: Spawner) -> Iterator[Spawner]:
    """A second spawner of this process, to be ill-treated."""
    own = Spawner(os.getpid())
    yield own
    own.close()


@pytest.fixture
def network() -> Iterator[int]:
    network = namespaces.current_network()
    yield network
    os.close(network)


def ends(process: Process, within_seconds: float = 3) -> bool:
    return Deadline(within_seconds, "a process to end").sees(lambda: process.poll() is not None)


def state(pid: int) -> str | None:
    """State and name of a process, for instance `S sleep`; None when it is gone."""
    try:
        name, _, rest = Path(f"/proc/{pid}/stat").read_text().partition("(")[2].rpartition(")")
    except OSError:
        return None
    return f"{rest.split()[0]} {name}"


def gone(pid: int, within_seconds: float = 3) -> bool:
    """Whether a process ends; that nobody has buried it yet does not matter."""
    return Deadline(within_seconds, "a process to end").sees(lambda: (state(pid) or "Z")[0] == "Z")


def states(spawner: Spawner) -> list[str]:
    """Every process that is kept, its first process left out."""
    return [seen for pid in spawner.reaper.keeps() if (seen := state(pid)) and "python" not in seen]


def test_output_and_status_are_exact(own: Spawner, network: int) -> None:
    done = own.run(["sh", "-c", r"printf '\000\377\r\n'; echo oops >&2; exit 3"], network=network, within_seconds=10)
    assert (done.status, done.stdout, done.stderr) == (3, b"\x00\xff\r\n", b"oops\n")
    assert own.run(["sh", "-c", "kill -9 $$"], network=network, within_seconds=10).status == -9


def test_bulk_output_blocks_nobody(own: Spawner, network: int) -> None:
    done = own.run(["sh", "-c", "head -c 3000000 /dev/zero | tee /dev/stderr"], network=network, within_seconds=10)
    assert (len(done.stdout), len(done.stderr)) == (3_000_000, 3_000_000)


def test_a_child_in_the_background_blocks_nobody(own: Spawner, network: int) -> None:
    begun = time.monotonic()
    done = own.run(["sh", "-c", "sleep 1000 & echo over"], network=network, within_seconds=10)
    assert time.monotonic() - begun < limit(5)
    assert done.stdout == b"over\n"
    assert Deadline(2, "the child").sees(lambda: states(own) == ["S sleep"]), states(own)


def test_a_command_that_exceeds_its_time_takes_its_children_along(own: Spawner, network: int) -> None:
    with pytest.raises(TimedOut, match=r"gave up after 0\.3 s waiting for the end of sh -c 'sleep 1000 | cat; true'"):
        own.run(["sh", "-c", "sleep 1000 | cat; true"], network=network, within_seconds=0.3)
    assert Deadline(2, "its children to end").sees(lambda: not states(own)), states(own)
    assert own.still_running == []


def test_a_program_that_is_not_there(own: Spawner, network: int) -> None:
    with pytest.raises(HarnessError, match="cannot start no-such-program: No such file or directory"):
        own.start(["no-such-program"], network=network)


def test_orphans_are_buried(own: Spawner, network: int) -> None:
    own.run(["sh", "-c", "(sleep 0.1 &) ; (true &) ; exit 0"], network=network, within_seconds=10)
    assert Deadline(3, "the orphans to be buried").sees(lambda: not states(own)), states(own)


def test_closing_ends_what_hides(spawner: Spawner, network: int) -> None:
    """A daemon: its parent gone, its session its own, deaf to every signal."""
    own = Spawner(os.getpid())
    script = "import os, signal; os.fork() and os._exit(0); os.setsid(); signal.pthread_sigmask(0, range(1, 65)); "
    own.run([sys.executable, "-c", script + "os.fork() or os.execlp('sleep', 'sleep', '1000')"], network=network,
            within_seconds=10)  # fmt: skip
    assert Deadline(3, "the daemon").sees(lambda: states(own) == ["S sleep"])
    (daemon,) = [pid for pid in own.reaper.keeps() if "sleep" in Path(f"/proc/{pid}/comm").read_text()]
    own.close()
    assert gone(daemon)


def test_the_reaper_is_killed(own: Spawner, network: int) -> None:
    kept = own.start(["sleep", "1000"], network=network)
    os.kill(own.reaper.pid, signal.SIGKILL)
    assert ends(kept)
    with pytest.raises(HarnessError, match="cannot start sleep: the reaper was ended, and with it all that it kept"):
        own.start(["sleep", "1000"], network=network)


def test_what_is_kept_is_where_it_was_started(own: Spawner) -> None:
    elsewhere = namespaces.new_network()
    kept = own.start(["sleep", "1000"], network=elsewhere)
    assert namespaces.network_namespace(kept.pid) != namespaces.network_namespace()
    assert own.run(["cat", "/proc/net/dev"], network=elsewhere, within_seconds=10).text.count(":") == 1
    assert namespaces.network_namespace(own.start(["sleep", "1"], network=elsewhere).pid) == (
        namespaces.network_namespace(kept.pid)
    )
    os.close(elsewhere)


# In processes of their own, because these end the owner or come close to it

OWNER = """
import os, signal, sys
from qemunet_tests.isolation import namespaces
from qemunet_tests.isolation.processes import Spawner

namespaces.enter()
spawner = Spawner(int(sys.argv[1]) or os.getpid())
network = namespaces.current_network()
kept = spawner.start(["sleep", "1000"], network=network)
first = min(spawner.reaper.keeps())
print(kept.pid, first, flush=True)
"""


@contextlib.contextmanager
def owner(then: str, controller_pid: int = 0) -> Iterator[tuple[subprocess.Popen[str], int, int]]:
    """A process that owns a reaper and does `then`; with the ids of a process kept, and of the first one."""
    words = [sys.executable, "-c", OWNER + textwrap.dedent(then), str(controller_pid)]
    with subprocess.Popen(words, cwd=CHECKOUT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        kept, first = map(int, process.stdout.readline().split())
        try:
            yield process, kept, first
        finally:
            process.kill()


def test_the_owner_is_killed() -> None:
    with owner("signal.pause()") as (process, kept, first):
        process.kill()
        process.wait()
        assert gone(kept)
        assert gone(first)


def test_the_controller_is_killed() -> None:
    controller = subprocess.Popen(["sleep", "1000"])
    with owner("signal.pause()", controller.pid) as (process, kept, _):
        controller.kill()
        controller.wait()
        assert process.wait(limit(3)) == -signal.SIGKILL
        assert gone(kept)


def test_the_first_process_is_killed_and_the_owner_lives_to_tell() -> None:
    then = """
    kept.wait()
    spawner.reaper._process.wait()
    try:
        spawner.start(["true"], network=network)
    except Exception as error:
        print(error)
    spawner.close()
    """
    with owner(then) as (process, _, first):
        os.kill(first, signal.SIGKILL)
        assert process.communicate(timeout=limit(5))[0] == (
            "cannot start true: the reaper was ended, and with it all that it kept\n"
        )
        assert process.returncode == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_owner_that_a_signal_ends(number: signal.Signals) -> None:
    with owner("signal.pause()") as (process, kept, _):
        process.send_signal(number)
        process.wait(limit(3))
        assert gone(kept)


def test_an_owner_that_forgets_to_close() -> None:
    with owner("") as (process, kept, _):
        assert process.wait(limit(3)) == 0
        assert gone(kept)
