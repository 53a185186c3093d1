"""TCP: whether a connection opens, with which error it does not, and whether bulk data passes both ways."""

from dataclasses import dataclass

from qemunet_tests.guest.guest import Guest
from qemunet_tests.network.target import Endpoint
from qemunet_tests.observe.nic import family_awaited
from qemunet_tests.timeouts import turns, whole

#: What is said where nobody says anything: by connect(2), and where the program does not give a reason.
NO_ANSWER = ("Connection timed out", "no answer")
BLOCK_BYTES = 4096
BITS, SHORTEST_SECONDS = 8, 0.01
#: A line of a guest's: how long it has been up, and what its NIC has sent and got.
_NIC = (
    "echo $(cut -d' ' -f1 /proc/uptime) $(cat /sys/class/net/eth0/statistics/tx_bytes "
    "/sys/class/net/eth0/statistics/rx_bytes)"
)

#: The least, the usual and the most that Linux sets aside for what a socket receives; the window is no larger.
_RECEIVE_BUFFER = "/proc/sys/net/ipv4/tcp_rmem"


def refusal(guest: Guest, service: Endpoint, wait_seconds: int = 5) -> str:
    """The error with which a guest cannot connect, `Connection refused` for instance; empty where it can.

    Where there is no answer at all it tries once more with longer patience.
    """
    said = ""
    for patience_seconds in turns(wait_seconds):
        said = _refusal(guest, service, whole(patience_seconds))
        if said not in NO_ANSWER:
            break
    return said


def _refusal(guest: Guest, service: Endpoint, wait_seconds: int) -> str:
    connect, ready = guest.tools.connect, family_awaited(service.version, wait_seconds)
    command = service.called_by(connect, wait_seconds=wait_seconds)
    ended = guest.run(f"{ready}{command}", within_seconds=2 * wait_seconds + 5)
    return "" if ended.succeeded else ended.complaint.rpartition(": ")[2] or "no answer"


@dataclass(frozen=True)
class BulkTransfer:
    """A transfer both ways: bytes sent, bytes that came back, and whether they are the same bytes.

    `nic_bytes` is how much left the guest's NIC meanwhile and how much came in there, in that many `seconds`.
    """

    sent: int
    returned: int
    intact: bool
    seconds: float = 0.0
    nic_bytes: tuple[int, int] = (0, 0)

    def __str__(self) -> str:
        came = f"{self.returned} of {self.sent} bytes came back"
        if self.returned == self.sent:
            return f"{came}{'' if self.intact else ', not the same'}"
        there, back = (BITS * each / max(self.seconds, SHORTEST_SECONDS) / 1000 for each in self.nic_bytes)
        return f"{came} in {self.seconds:.0f} s: {there:.0f} kbit/s left the guest's NIC and {back:.0f} kbit/s came in"


def bulk(
    guest: Guest,
    service: Endpoint,
    size_bytes: int,
    wait_seconds: int = 20,
    again: bool = True,
    window_bytes: int | None = None,
) -> BulkTransfer:
    """Send `size_bytes` random bytes by TCP to a service that returns them, and compare.

    A ping passes on many a host where this stalls. What is not back in time is sent once more with longer patience.
    `window_bytes` is the most that the guest lets be on its way to it, where that is less than Linux decides.
    """
    seen = BulkTransfer(size_bytes, 0, False)
    for patience_seconds in turns(wait_seconds, again):
        seen = _bulk(guest, service, size_bytes, whole(patience_seconds), window_bytes)
        if seen.returned == seen.sent:
            break
    return seen


def _bulk(
    guest: Guest, service: Endpoint, size_bytes: int, wait_seconds: int, window_bytes: int | None
) -> BulkTransfer:
    # Made in the guest, because the way in is a serial line; no part of it is like another, which could take its place.
    make = f"dd if=/dev/urandom bs={BLOCK_BYTES} count={size_bytes // BLOCK_BYTES} of=/tmp/there 2>/dev/null"
    guest.check(make, within_seconds=wait_seconds + 5)
    # The guest's end is sent when all is back: a connection that is closed by one side alone is another promise.
    rest = f"until [ -e /tmp/over ] || [ $(wc -c < /tmp/back) -ge {size_bytes} ]; do sleep 0.1; done"
    exchange = service.called_by(guest.tools.exchange, wait_seconds=wait_seconds)
    ready = family_awaited(service.version, wait_seconds)
    there_and_back = (
        f"{ready}rm -f /tmp/over; : > /tmp/back; {_NIC}; {{ cat /tmp/there; {rest}; }} | "
        f"{{ timeout {wait_seconds} {exchange} > /tmp/back; : > /tmp/over; }}; {_NIC}"
    )
    if window_bytes:
        narrow = f"was=$(cat {_RECEIVE_BUFFER}); echo 4096 {window_bytes} {window_bytes} >{_RECEIVE_BUFFER}"
        there_and_back = f"{narrow}; {there_and_back}; echo $was >{_RECEIVE_BUFFER}"
    began, ended = _numbers(guest.run(there_and_back, within_seconds=2 * wait_seconds + 5).text)
    compare = "wc -c < /tmp/back; cmp -s /tmp/there /tmp/back && echo same; rm -f /tmp/there /tmp/back /tmp/over"
    answer = guest.run(compare, within_seconds=wait_seconds + 5).text.split()
    passed = int(ended[1] - began[1]), int(ended[2] - began[2])
    return BulkTransfer(size_bytes, int(answer[0]), answer[1:] == ["same"], ended[0] - began[0], passed)


def _numbers(said: str) -> tuple[list[float], list[float]]:
    """The time and the bytes of the NIC before and after, nothing where the guest does not tell."""
    lines = [[float(word) for word in line.split()] for line in said.splitlines() if line[:1].isdigit()]
    nothing = [0.0, 0.0, 0.0]
    return (lines[0], lines[-1]) if len(lines) > 1 else (nothing, nothing)
