"""Where the server of a transfer runs: on the lab's host, or in a second guest."""

import contextlib
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qemunet_tests.deadline import Deadline
from qemunet_tests.errors import HarnessError
from qemunet_tests.guest.guest import Guest
from qemunet_tests.isolation.namespaces import scratch
from qemunet_tests.isolation.processes import stop
from qemunet_tests.isolation.station import Station
from qemunet_tests.throughput import iperf
from qemunet_tests.throughput.placement import Placement
from qemunet_tests.throughput.sockets import listening

SERVER_SECONDS = 5.0
SERVER_OUTPUT = "iperf3-server.json"
#: In a guest: the server in the background, until it listens.
SERVE = (
    "({words} >/tmp/server.json 2>&1 </dev/null & echo $! >/run/server.pid); n=0; "
    "until grep -q ':{port:04X} 00000000:0000 0A ' /proc/net/tcp || [ $n = 100 ]; do sleep 0.05; n=$((n+1)); done; "
    "[ $n -lt 100 ]"
)
#: What it said, once it has ended.
SAID = (
    "n=0; while kill -0 $(cat /run/server.pid) 2>/dev/null && [ $n -lt 100 ]; do sleep 0.05; n=$((n+1)); done; "
    "cat /tmp/server.json"
)


@dataclass(frozen=True)
class Server:
    """An iperf3 server for one test, that listens. `said` waits for its end and answers with what it reported."""

    pid: int
    said: Callable[[], dict[str, Any]]


@contextlib.contextmanager
def at_host(station: Station, placement: Placement) -> Iterator[Server]:
    """A server at a station of the lab, pinned. Raises HarnessError where it ends at once."""
    output = scratch() / SERVER_OUTPUT
    with output.open("wb") as file:
        server = station.start([*placement.prefix(), *iperf.server_words()], stdout=file)

    def listens() -> bool:
        if server.poll() is not None:
            raise HarnessError(
                f"the iperf3 server ended with status {server.returncode}: {_text(output).strip()[-200:]}"
            )
        return listening(station, iperf.PORT)

    def said() -> dict[str, Any]:
        with contextlib.suppress(subprocess.TimeoutExpired):
            server.wait(SERVER_SECONDS)
        return iperf.parse(_text(output), "host")

    try:
        Deadline(SERVER_SECONDS, "the iperf3 server to listen").wait_until(listens, interval_seconds=0.01)
        yield Server(server.pid, said)
    finally:
        stop(server)


@contextlib.contextmanager
def in_guest(guest: Guest) -> Iterator[Server]:
    """A server in a guest; its process is the guest's QEMU. Raises CommandFailed where it does not listen."""
    guest.check(SERVE.format(words=" ".join(iperf.server_words()), port=iperf.PORT))

    def said() -> dict[str, Any]:
        return iperf.parse(guest.run(SAID, SERVER_SECONDS).text, "other guest")

    try:
        yield Server(guest.qemu.process.pid, said)
    finally:
        # Most have ended by themselves; a guest that died has none.
        with contextlib.suppress(HarnessError):
            guest.run("kill $(cat /run/server.pid) 2>/dev/null")


def _text(path: Path) -> str:
    return path.read_text(errors="replace")
