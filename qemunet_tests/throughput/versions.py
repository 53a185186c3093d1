"""Whether two iperf3 of different versions understand each other, found out by letting them talk.

iperf3's own wire protocol has been the same through 3.x for what is measured here, so that versions seldom matter; and
they differ wherever a guest's image was made elsewhere. Both arms of a comparison have the same pair.
"""

from collections.abc import Sequence

from qemunet_tests.errors import HarnessError, TimedOut, Unavailable
from qemunet_tests.guest.guest import GuestDied
from qemunet_tests.throughput import iperf
from qemunet_tests.throughput.resident_guest import ResidentGuest
from qemunet_tests.throughput.transfer import TransferPlan

TRIAL_SECONDS = 1
#: How iperf3 says that it got no connection: then nothing was learned about versions.
NO_CONNECTION = ("unable to connect", "unable to create a new stream", "No route to host", "Network is unreachable")


def require_understanding(
    way: TransferPlan, subject: ResidentGuest, directions: Sequence[str], host: str, guest: str
) -> None:
    """Raises Unavailable where the two are different and cannot talk, HarnessError where they cannot meet."""
    # Between guests both ends are of one image.
    if host == guest or subject.far:
        return
    for direction in directions:
        try:
            _talk(way, subject, direction)
        except (GuestDied, TimedOut):
            raise
        except HarnessError as error:
            if any(words in str(error) for words in NO_CONNECTION):
                raise
            raise Unavailable(
                f"iperf3 {host} on this host and {guest} in the guest do not understand each other: {error}",
                "install the distribution's own iperf3 and build the image here: qemunet image build",
            ) from error


def _talk(way: TransferPlan, subject: ResidentGuest, direction: str) -> None:
    # A time and no volume: on a slow path a few bytes are sent, and the test over, before any arrives.
    words = iperf.client_words(subject.address, direction, TRIAL_SECONDS)
    with way.serving(subject) as server:
        done = subject.guest.run(iperf.quoted(words, "/tmp/iperf3.json"), TRIAL_SECONDS + 5.0)
        client, said = iperf.parse(done.stdout.decode(errors="replace"), "guest"), server.said()
    try:
        # How much arrived is nothing that versions decide: the measurement will say it.
        for report in (client, said):
            iperf.intervals(report)
            int(report["end"]["sum_sent"]["bytes"]), int(report["end"]["sum_received"]["bytes"])
    except (KeyError, TypeError) as strange:
        raise HarnessError(f"their reports lack {strange}") from strange
