"""One measurement: a TCP transfer between a resident guest and the lab's host."""

import contextlib
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qemunet_tests.harness.deadline import Deadline
from qemunet_tests.harness.errors import HarnessError
from qemunet_tests.harness.lab.station import Station
from qemunet_tests.harness.namespaces import scratch
from qemunet_tests.harness.processes import Process, stop
from qemunet_tests.throughput import cpu, iperf, proof, ways
from qemunet_tests.throughput.placement import Placement
from qemunet_tests.throughput.sockets import Account, listening
from qemunet_tests.throughput.subject import Subject
from qemunet_tests.throughput.watch import Watch, cpu_seconds_per_gb

#: The first moments of a transfer are slower, on e1000 by a sixth: they are left out.
SKIP_SECONDS = 0.5
SERVER_SECONDS = 5.0
SERVER_OUTPUT = "iperf3-server.json"


@dataclass(frozen=True)
class Way:
    """Where and how transfers are made in this recording."""

    server: Station
    account: Account
    placement: Placement
    seconds: int
    #: Whether guests run under icount, where their clock is what counts.
    guest_time: bool = False


def transfer(way: Way, subject: Subject, direction: str) -> dict[str, Any]:
    """Measure once. The row says itself whether it is valid; raises GuestDied where there is no guest any more."""
    taps, machine, began = subject.tap_payload(), cpu.machine(), time.monotonic()
    try:
        client, server, watch = _run(way, subject, direction)
        flow = iperf.flow(client, server, direction, SKIP_SECONDS)
    except HarnessError as error:
        if subject.guest.qemu.how_it_ended():
            raise
        return {"values": {}, "valid": False, "why_invalid": str(error), "seconds": time.monotonic() - began}
    evidence = _evidence(subject, direction, taps, watch, flow)
    why = proof.objection(evidence)
    cost = cpu_seconds_per_gb(watch.ticks, SKIP_SECONDS)
    values: dict[str, Any] = {
        f"tcp.{direction}": round(flow.mbit_per_second, 3),
        f"cpu.{direction}": None if cost is None else round(cost, 4),
    }
    if way.guest_time:
        in_guest_time = iperf.mbit_per_second(iperf.intervals(client), SKIP_SECONDS)
        host_time, values = values, {f"guest_time.{direction}": round(in_guest_time, 3)}
        if direction == "h2g":
            # The receiver's clock is the guest's.
            del host_time["tcp.h2g"]
    return {
        "values": {**values, "retransmits": flow.retransmits, "stalls": flow.stalls},
        **({"host_time": host_time} if way.guest_time else {}),
        "valid": why is None,
        "why_invalid": why,
        "proof": {**evidence.as_dict(), "final": watch.complete},
        "intervals": [list(interval) for interval in flow.intervals],
        "congestion": flow.congestion,
        "ticks": _ticks(watch, began),
        "machine": cpu.difference(machine, cpu.machine()),
        "seconds": round(time.monotonic() - began, 3),
        "iperf3": {"client": client, "server": server},
    }


def _run(way: Way, subject: Subject, direction: str) -> tuple[dict[str, Any], dict[str, Any], Watch]:
    words = iperf.client_words(subject.address, direction, way.seconds)
    with serving(way) as server:
        watch = Watch(way.account, subject.pids, subject.owners, server.pid, iperf.PORT)
        try:
            done = subject.guest.run(iperf.quoted(words, "/tmp/iperf3.json"), way.seconds + 3.0)
        finally:
            watch.stop()
        client = iperf.parse(done.stdout.decode(errors="replace"), "guest")
        with contextlib.suppress(subprocess.TimeoutExpired):
            server.wait(SERVER_SECONDS)
    return client, iperf.parse(server_output().read_text(errors="replace"), "host"), watch


@contextlib.contextmanager
def serving(way: Way) -> Iterator[Process]:
    """An iperf3 server for one test, pinned, that listens; its JSON goes to SERVER_OUTPUT."""
    with server_output().open("wb") as output:
        server = way.server.start([*way.placement.prefix(), *iperf.server_words()], stdout=output)

    def listens() -> bool:
        if server.poll() is not None:
            said = server_output().read_text(errors="replace")
            raise HarnessError(f"the iperf3 server ended with status {server.returncode}: {said.strip()[-200:]}")
        return listening(way.server, iperf.PORT)

    try:
        Deadline(SERVER_SECONDS, "the iperf3 server to listen").wait_until(listens, interval_seconds=0.01)
        yield server
    finally:
        stop(server)


def server_output() -> Path:
    return scratch() / SERVER_OUTPUT


def _evidence(subject: Subject, direction: str, taps: Any, watch: Watch, flow: iperf.Flow) -> proof.Evidence:
    expected = ways.KINDS[subject.arm.way]
    after = subject.tap_payload()
    if expected == "tap":
        counter = "the tap"
        counted = after[direction] - taps[direction] if after and taps else 0
    else:
        counter = "passt's own host sockets" if subject.helpers else "QEMU's own host sockets"
        counted = watch.subject_acked_bytes if direction == "g2h" else watch.subject_received_bytes
    found = subject.backend_kind()
    return proof.Evidence(expected, found, counter, counted, flow.sent_bytes, flow.received_bytes)


def _ticks(watch: Watch, began: float) -> list[Sequence[float]]:
    return [
        (
            round(tick.at_seconds - began, 4),
            round(tick.subject_cpu_seconds - watch.ticks[0].subject_cpu_seconds, 5),
            round(tick.server_cpu_seconds - watch.ticks[0].server_cpu_seconds, 5),
            tick.moved_bytes,
        )
        for tick in watch.ticks
    ]


def ceiling(way: Way, neighbour: Station, address: str) -> dict[str, Any]:
    """What the same two programs move between two namespaces of the lab, without any guest: the row above all."""
    began = time.monotonic()
    words = [*way.placement.prefix(), *iperf.client_words(address, "g2h", way.seconds)]
    try:
        with serving(way) as server:
            done = neighbour.run(" ".join(words), within_seconds=way.seconds + 10.0)
            client = iperf.parse(done.text, "neighbour")
            with contextlib.suppress(subprocess.TimeoutExpired):
                server.wait(SERVER_SECONDS)
        said = iperf.parse(server_output().read_text(errors="replace"), "host")
        flow = iperf.flow(client, said, "g2h", SKIP_SECONDS)
    except HarnessError as error:
        return {"values": {}, "valid": False, "why_invalid": str(error), "seconds": time.monotonic() - began}
    return {
        "values": {"ceiling": round(flow.mbit_per_second, 3)},
        "valid": True,
        "why_invalid": None,
        "seconds": round(time.monotonic() - began, 3),
        "iperf3": {"client": client, "server": said},
    }
