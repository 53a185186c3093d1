"""UDP at the highest rate without loss, searched for: an unlimited rate at a slow guest measures its collapse."""

import time
from collections.abc import Iterator

from qemunet_tests.errors import HarnessError
from qemunet_tests.throughput import iperf
from qemunet_tests.throughput.recording_shapes import Iperf3, Measurement, UdpTrial
from qemunet_tests.throughput.resident_guest import ResidentGuest
from qemunet_tests.throughput.transfer import TransferPlan

#: Mbit/s that are tried, by bisection; the first stands for "loses even this".
RATES = (5, 10, 20, 35, 50, 75, 100, 150, 200, 300, 500, 800, 1200)
DATAGRAM_BYTES = 1400
#: Of the datagrams of a second, what may be lost: nothing but the last one in flight.
LOSS_PERCENT = 0.05
SECONDS = 1


def zero_loss(way: TransferPlan, subject: ResidentGuest) -> Iterator[tuple[str, Measurement]]:
    """A row a direction: the highest rate of RATES at which nothing was lost, and every trial."""
    for direction in ("g2h", "h2g"):
        yield f"udp.{direction}.zero_loss", _search(way, subject, direction)


def _search(way: TransferPlan, subject: ResidentGuest, direction: str) -> Measurement:
    began, trials = time.monotonic(), list[UdpTrial]()
    least, most = 0, len(RATES)
    try:
        while most - least > 1:
            middle = (least + most) // 2
            trial = _trial(way, subject, direction, RATES[middle])
            trials.append(trial)
            kept_up = trial.sent_mbit_per_second >= 0.9 * RATES[middle]
            least, most = (middle, most) if trial.lost_percent <= LOSS_PERCENT and kept_up else (least, middle)
    except HarnessError as error:
        why: str | None = str(error)
    else:
        expected, found = subject.arm.configuration.backend, subject.backend_kind()
        why = None if expected == found else f"wrong backend: the monitor shows {found or 'none'}, not {expected}"
    return Measurement(
        values={} if why else {f"udp.{direction}.zero_loss": float(RATES[least])},
        valid=why is None,
        why_invalid=why,
        trials=trials,
        seconds=round(time.monotonic() - began, 3),
    )


def _trial(way: TransferPlan, subject: ResidentGuest, direction: str, mbit_per_second: int) -> UdpTrial:
    words = iperf.client_words(subject.address, direction, SECONDS)
    words += ["-u", "-b", f"{mbit_per_second}M", "-l", str(DATAGRAM_BYTES)]
    with way.serving(subject) as server:
        done = subject.guest.run(iperf.quoted(words, "/tmp/iperf3.json"), SECONDS + 3.0)
        client, host = iperf.parse(done.stdout.decode(errors="replace"), "guest"), server.said()
    receiver, sender = (host, client) if direction == "g2h" else (client, host)
    heard, said = receiver["end"]["sum"], sender["end"]["sum"]
    return UdpTrial(
        mbit_per_second=mbit_per_second,
        sent_mbit_per_second=round(said["bits_per_second"] / 1e6, 2),
        lost_percent=round(heard.get("lost_percent", 100.0), 3),
        packets=heard.get("packets"),
        jitter_ms=round(heard.get("jitter_ms", 0.0), 4),
        iperf3=Iperf3(client=client["end"], server=host["end"]),
    )
