"""Request-response: one byte to a service in the guest and one byte back, counted from the host for a second.

The service is socat, which the guest has: it echoes through a pipe of its own for `tcp.rr` (one connection, no new
process for a message) and forks once a connection for `tcp.crr`. So CRR contains a fork in the guest, the same in
every arm: it shows what an arm adds, and ratios of arms lie closer to 1 than those of the network alone. The host
opens the connection: in user mode through a forward that is made for the purpose.
"""

import contextlib
import socket
import time
from collections.abc import Callable, Iterator

from qemunet_tests.deadline import Deadline
from qemunet_tests.errors import HarnessError
from qemunet_tests.throughput.recording_shapes import Measurement, Proof
from qemunet_tests.throughput.resident_guest import ResidentGuest
from qemunet_tests.throughput.transfer import TransferPlan, invalid

SECONDS = 1.0
GUEST_PORT, FORWARDED_PORT = 7100, 7101
ANSWER_SECONDS = 5.0
SERVE = "({echo} >/dev/null 2>&1 </dev/null & echo $! >/run/echo.pid)"
PERCENTILES = (50, 90, 99)


def latency(way: TransferPlan, subject: ResidentGuest) -> Iterator[tuple[str, Measurement]]:
    """Rows for `tcp.rr` and `tcp.crr` of an arm whose guest the host can open a connection to."""
    with _service(way, subject) as connect:
        yield "tcp.rr", _row("tcp.rr", subject, lambda: _request_response(connect))
        yield "tcp.crr", _row("tcp.crr", subject, lambda: _connect_request_response(connect))


def _row(metric: str, subject: ResidentGuest, measure: Callable[[], list[float]]) -> Measurement:
    began = time.monotonic()
    try:
        taken = measure()
    except OSError as error:
        return invalid(f"{metric}: {error}", began)
    expected, found = subject.arm.configuration.backend, subject.backend_kind()
    why = None if found == expected else f"wrong backend: the monitor shows {found or 'none'}, not {expected}"
    ordered = sorted(taken)
    at = {f"{metric}.p{percent}_us": _percentile(ordered, percent) for percent in PERCENTILES}
    return Measurement(
        values={metric: round(len(taken) / sum(taken), 3), **at},
        valid=why is None,
        why_invalid=why,
        proof=Proof(expected=expected, found=found),
        initiator="host",
        exchanges=len(taken),
        us=[round(seconds * 1e6, 1) for seconds in taken],
        seconds=round(time.monotonic() - began, 3),
    )


def _percentile(ordered: list[float], percent: int) -> float:
    return round(ordered[min(len(ordered) * percent // 100, len(ordered) - 1)] * 1e6, 1)


@contextlib.contextmanager
def _service(way: TransferPlan, subject: ResidentGuest) -> Iterator[Callable[[], socket.socket]]:
    """The echo in the guest, while it is needed; gives what opens a connection to it."""
    guest = subject.guest
    guest.check(SERVE.format(echo=guest.tools.echo.format(port=GUEST_PORT)))
    forwarded = subject.arm.configuration.forwards
    rule = f"tcp:127.0.0.1:{FORWARDED_PORT}"
    if forwarded:
        said = guest.monitor.ask(f"hostfwd_add net0 {rule}-:{GUEST_PORT}").strip()
        if said:
            raise HarnessError(f"QEMU does not forward a port: {said}")
    place = ("127.0.0.1", FORWARDED_PORT) if forwarded else (subject.own_address, GUEST_PORT)

    def connect() -> socket.socket:
        connection = way.server.connect(*place, within_seconds=ANSWER_SECONDS)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection

    try:
        Deadline(ANSWER_SECONDS, "the guest's echo to answer").wait_until(lambda: _answers(connect))
        yield connect
    finally:
        if forwarded:
            guest.monitor.ask(f"hostfwd_remove net0 {rule}")
        guest.run("kill $(cat /run/echo.pid)")


def _answers(connect: Callable[[], socket.socket]) -> bool:
    try:
        with connect() as connection:
            _exchange(connection)
        return True
    except OSError:
        return False


def _exchange(connection: socket.socket) -> None:
    connection.sendall(b"x")
    if not connection.recv(1):
        raise ConnectionError("the connection was closed instead of an answer")


def _request_response(connect: Callable[[], socket.socket]) -> list[float]:
    with connect() as connection:
        _exchange(connection)
        return _timed(lambda: _exchange(connection))


def _connect_request_response(connect: Callable[[], socket.socket]) -> list[float]:
    def once() -> None:
        with connect() as connection:
            _exchange(connection)

    return _timed(once)


def _timed(exchange: Callable[[], None]) -> list[float]:
    taken = []
    end = time.perf_counter() + SECONDS
    while (began := time.perf_counter()) < end:
        exchange()
        taken.append(time.perf_counter() - began)
    return taken
