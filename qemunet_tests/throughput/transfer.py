"""One measurement: a TCP transfer between a resident guest and the lab's host, or another guest."""

import time
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from typing import Any

from qemunet_tests.errors import HarnessError
from qemunet_tests.guest.guest import GuestDied
from qemunet_tests.isolation.station import Station
from qemunet_tests.throughput import clock, cpu, far_end, iperf, path_proof
from qemunet_tests.throughput.far_end import Server
from qemunet_tests.throughput.placement import Placement
from qemunet_tests.throughput.recording_shapes import Iperf3, Meanwhile, Measurement, Proof
from qemunet_tests.throughput.resident_guest import ResidentGuest
from qemunet_tests.throughput.sampler import Sampler, cpu_seconds_per_gb
from qemunet_tests.throughput.sockets import Account

#: The first moments of a transfer are slower, on e1000 by a sixth: they are left out.
SKIP_SECONDS = 0.5


@dataclass(frozen=True)
class TransferPlan:
    """Where and how transfers are made in this recording."""

    server: Station
    account: Account
    placement: Placement
    seconds: int
    #: Whether guests run under icount, where their clock is what counts.
    guest_time: bool = False

    def serving(self, subject: ResidentGuest) -> AbstractContextManager[Server]:
        """An iperf3 server for one test at the far end of an arm."""
        return far_end.in_guest(subject.far) if subject.far else far_end.at_host(self.server, self.placement)


def transfer(way: TransferPlan, subject: ResidentGuest, direction: str) -> Measurement:
    """Measure once. It says itself whether it is valid; raises GuestDied where there is no guest any more."""
    probe = cpu.probe_us(way.placement.main_cpus)
    meter, began = cpu.Meter(), time.monotonic()
    try:
        on_path, before = subject.on_path(), subject.counts()
        client, server, watch = _run(way, subject, direction)
        flow = iperf.flow(client, server, direction, SKIP_SECONDS)
        evidence = _evidence(subject, direction, before, watch, flow)
    except (HarnessError, OSError) as error:
        # What /proc and a guest's sockets say of one that has died is no answer.
        ended = next(filter(None, (guest.qemu.how_it_ended() for guest in subject.guests)), None)
        if ended and not isinstance(error, GuestDied):
            raise GuestDied(f"the guest ended: QEMU ended, {ended}") from error
        if ended or isinstance(error, OSError):
            raise
        return invalid(str(error), began)
    why = path_proof.objection(evidence)
    if not way.guest_time:
        why = why or clock.objection(iperf.seconds(client), iperf.seconds(server))
    why = why or iperf.objection(flow, SKIP_SECONDS)
    values, host_time = _values(way, subject, direction, client, flow, watch)
    mss = str(client["start"].get("tcp_mss_default", ""))
    return Measurement(
        values={**values, "retransmits": flow.retransmits, "stalls": flow.stalls},
        **({"host_time": host_time} if way.guest_time else {}),
        valid=why is None,
        why_invalid=why,
        proof=Proof(**asdict(evidence), final=watch.complete),
        on_path=on_path.model_copy(update={"mss": mss}),
        intervals=[list(interval) for interval in flow.intervals],
        congestion=flow.congestion,
        ticks=_ticks(watch, began),
        machine=Meanwhile(**meter.since(watch.ours_cpu_seconds), probe_us=probe),
        seconds=round(time.monotonic() - began, 3),
        iperf3=Iperf3(client=client, server=server),
    )


def invalid(why: str, began_seconds: float) -> Measurement:
    """Nothing was found, and why. `began_seconds` is monotonic time."""
    return Measurement(values={}, valid=False, why_invalid=why, seconds=time.monotonic() - began_seconds)


def _values(
    way: TransferPlan, subject: ResidentGuest, direction: str, client: dict[str, Any], flow: iperf.Flow, watch: Sampler
) -> tuple[dict[str, float | int | None], dict[str, float | int | None]]:
    """What is judged, and in the lane of guest time what the host's clock says beside it."""
    cost = cpu_seconds_per_gb(watch.ticks, SKIP_SECONDS)
    if cost is not None and subject.far and flow.received_bytes:
        # Between guests the watch sees packets with their headers.
        cost *= watch.ticks[-1].moved_bytes / flow.received_bytes
    values: dict[str, float | int | None] = {
        f"tcp.{direction}": round(flow.mbit_per_second, 3),
        f"cpu.{direction}": None if cost is None else round(cost, 4),
    }
    if not way.guest_time:
        return values, {}
    if direction == "h2g":
        # The receiver's clock is the guest's.
        del values["tcp.h2g"]
    in_guest_time = iperf.mbit_per_second(iperf.intervals(client), SKIP_SECONDS)
    return {f"guest_time.{direction}": round(in_guest_time, 3)}, values


def _run(way: TransferPlan, subject: ResidentGuest, direction: str) -> tuple[dict[str, Any], dict[str, Any], Sampler]:
    words = iperf.client_words(subject.address, direction, way.seconds)
    with way.serving(subject) as server:
        port, moved = subject.connection_port or iperf.PORT, None
        if subject.far and not subject.connection_port:
            moved = lambda: (subject.tap_payload() or {}).get(direction, 0)  # noqa: E731
        watch = Sampler(way.account, subject.pids, subject.owners, server.pid, port, moved)
        try:
            done = subject.guest.run(iperf.quoted(words, "/tmp/iperf3.json"), way.seconds + 3.0)
        finally:
            watch.stop()
        return iperf.parse(done.stdout.decode(errors="replace"), "guest"), server.said(), watch


def _evidence(
    subject: ResidentGuest, direction: str, before: path_proof.Counts, watch: Sampler, flow: iperf.Flow
) -> path_proof.Evidence:
    expected, after = subject.arm.configuration.backend, subject.counts()
    carried = watch.subject_acked_bytes if direction == "g2h" else watch.subject_received_bytes
    nics = after.payload_since(before, direction) if subject.far else None
    if expected == "tap":
        counter = "the tap"
        counted = after.tap[direction] - before.tap[direction] if after.tap and before.tap else 0
    elif subject.connection_port:
        counter = "the connection between the two QEMUs"
        counted = path_proof.payload(carried, after.packets_since(before, direction), path_proof.LENGTH_BYTES)
    elif nics:
        # Nobody on the host counts datagrams by socket.
        counter, counted = "the receiving guest's NIC", nics["far" if direction == "g2h" else "near"]
    else:
        counter = "passt's own host sockets" if subject.helpers else "QEMU's own host sockets"
        counted = carried
    again = (flow.retransmits or 0) * path_proof.SEGMENT_BYTES if nics or expected == "tap" else 0
    found = subject.backend_kind()
    return path_proof.Evidence(expected, found, counter, counted, flow.sent_bytes, flow.received_bytes, nics, again)


def _ticks(watch: Sampler, began: float) -> list[list[float | int]]:
    return [
        [
            round(tick.at_seconds - began, 4),
            round(tick.subject_cpu_seconds - watch.ticks[0].subject_cpu_seconds, 5),
            round(tick.server_cpu_seconds - watch.ticks[0].server_cpu_seconds, 5),
            tick.moved_bytes,
        ]
        for tick in watch.ticks
    ]


def ceiling(way: TransferPlan, neighbour: Station, address: str) -> Measurement:
    """What the same two programs move between two namespaces of the lab, without any guest: the row above all."""
    began = time.monotonic()
    words = [*way.placement.prefix(), *iperf.client_words(address, "g2h", way.seconds)]
    try:
        with far_end.at_host(way.server, way.placement) as server:
            done = neighbour.run(" ".join(words), within_seconds=way.seconds + 10.0)
            client, said = iperf.parse(done.text, "neighbour"), server.said()
        flow = iperf.flow(client, said, "g2h", SKIP_SECONDS)
    except HarnessError as error:
        return invalid(str(error), began)
    why = iperf.objection(flow, SKIP_SECONDS)
    return Measurement(
        values={"ceiling": round(flow.mbit_per_second, 3)},
        valid=why is None,
        why_invalid=why,
        seconds=round(time.monotonic() - began, 3),
        iperf3=Iperf3(client=client, server=said),
    )
