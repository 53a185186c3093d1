"""Whether what the lab serves is there: no promise is broken by a server of ours that died, or hangs.

Everything is asked at its own station, so that what lies between it and a guest has no part in the answer.
"""

import contextlib
import socket
from collections.abc import Callable, Iterator, Mapping

from qemunet_tests.deadline import Deadline
from qemunet_tests.host import process_table
from qemunet_tests.isolation.processes import Process
from qemunet_tests.isolation.station import Station

#: Long, because only what was going to be called broken waits for it, and a busy machine may take its time.
ANSWER_SECONDS = 5.0
ASK_AGAIN_SECONDS = 1.0
#: A DNS question (RFC 1035): one, for the address (A) of `host.home`, in class IN.
DNS_QUESTION = b"qn\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x04host\x04home\x00\x00\x01\x00\x01"
HALTED = {"T": "is stopped", "t": "is stopped by a debugger", "Z": "has ended", "X": "has ended"}

#: What is served, by a name for people, and how to learn why it is not: None where it is.
Watched = Mapping[str, Callable[[], str | None]]


def why_not(process: Process) -> str | None:
    """Why a server cannot be serving; None where it runs."""
    if (status := process.poll()) is not None:
        return f"has ended (status {status})"
    return halted(process.pid)


def halted(pid: int) -> str | None:
    """Why a process cannot be doing anything; None where it may."""
    stat = process_table.stat(pid)
    return HALTED.get(stat.state) if stat else "has ended"


def answers_dns(station: Station, port: int) -> bool:
    """Whether the DNS server at a station says anything to a question that comes over the loopback."""
    return _answers_datagram(station, "127.0.0.1", port, DNS_QUESTION)


def echoes(station: Station, address: str, port: int) -> bool:
    """Whether the echo services at one address of a station give back what they get, from there."""
    return _answers_datagram(station, address, port, b"qemunet") and _echoes_stream(station, address, port)


def forwards(station: Station) -> str | None:
    """Why a router forwards nothing; None where it does."""
    return None if station.sysctl("net.ipv4.ip_forward") == "1" else "forwards nothing"


def _answers_datagram(station: Station, address: str, port: int, question: bytes) -> bool:
    deadline = Deadline(ANSWER_SECONDS, f"an answer from {address}")
    with station.open_socket(socket.SOCK_DGRAM, address) as asking, contextlib.suppress(OSError):
        asking.connect((address, port))
        asking.settimeout(ASK_AGAIN_SECONDS)
        while not deadline.passed:
            asking.send(question)
            with contextlib.suppress(TimeoutError):
                return bool(asking.recv(512))
    return False


def _echoes_stream(station: Station, address: str, port: int) -> bool:
    try:
        with station.connect(address, port, ANSWER_SECONDS) as asking:
            asking.sendall(b"qemunet")
            return bool(asking.recv(512))
    except OSError:
        return False


class Services:
    """What a lab serves. What was found wanting right after a fault was planted is so on purpose."""

    def __init__(self, watched: Watched) -> None:
        self._watched = dict(watched)
        self._on_purpose: set[str] = set()

    @contextlib.contextmanager
    def watching(self, name: str, why: Callable[[], str | None]) -> Iterator[None]:
        """Meanwhile this is served as well, for the one test that needs it."""
        self._watched[name] = why
        try:
            yield
        finally:
            del self._watched[name]

    def failing(self) -> str | None:
        """What should serve and does not, and why, as a sentence; None where all is well."""
        for name, why in self._watched.items():
            if name not in self._on_purpose and (said := why()):
                return f"{name} {said}"
        return None

    def excuse(self) -> None:
        """Whoever has just broken something meant to: what does not serve now counts as meant from now on."""
        self._on_purpose |= {name for name, why in self._watched.items() if why()}
