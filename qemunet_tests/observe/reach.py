"""Who can be reached from where, by which protocol."""

import hashlib
import re
import secrets
from dataclasses import dataclass

from qemunet_tests.errors import HarnessError
from qemunet_tests.guest.guest import Guest
from qemunet_tests.network.target import Endpoint
from qemunet_tests.observe.command_place import Place
from qemunet_tests.timeouts import turns, whole

RECEIVED = re.compile(r"(\d+) packets transmitted, (\d+)(?: packets)? received")
#: A program of the guest that sends what it is given and prints what comes back. In software busybox's own starts in
#: half of socat's time, and is on the post's disk; it speaks no UDP.
SENDERS = {
    "TCP": "nc -w {wait_seconds} {address} {port}",
    "UDP": "socat -t {wait_seconds} - UDP4:{address}:{port}",
}


@dataclass(frozen=True)
class Ping:
    """How many echo requests were sent, and how many replies came back."""

    sent: int
    received: int

    def __str__(self) -> str:
        return f"{self.received} of {self.sent} echo requests answered"


def ping(place: Place, address: str, count: int = 3, wait_seconds: int = 2, size_bytes: int = 56) -> Ping:
    """Send ICMP echo requests from a place.

    Where not all are answered they are sent once more on a busy machine, with longer patience. Raises
    HarnessError where ping does not run.
    """
    seen = Ping(count, 0)
    for patience_seconds in turns(wait_seconds, again=False):
        seen = _ping(place, address, count, whole(patience_seconds), size_bytes)
        if seen.received == seen.sent:
            break
    return seen


def _ping(place: Place, address: str, count: int, wait_seconds: int, size_bytes: int) -> Ping:
    command = f"ping -n -c {count} -i 0.3 -W {wait_seconds} -s {size_bytes} {address}"
    answer = place.run(command, within_seconds=count * 0.3 + wait_seconds + 5)
    match = RECEIVED.search(answer.text)
    # An unreachable network is an answer; no ping program is none.
    if match is None and "unreachable" not in answer.complaint:
        raise HarnessError(f"ping did not run: {answer.complaint or answer.text}")
    return Ping(int(match[1]), int(match[2])) if match else Ping(count, 0)


def echoes(guest: Place, protocol: str, service: Endpoint, wait_seconds: int = 5) -> bool:
    """Whether a word sent from a guest to a service comes back; `protocol` is `TCP` or `UDP`."""
    return any(_echoes(guest, protocol, service, whole(patience_seconds)) for patience_seconds in turns(wait_seconds))


def _echoes(guest: Place, protocol: str, service: Endpoint, wait_seconds: int) -> bool:
    word = secrets.token_hex(8)
    sender = SENDERS[protocol].format(wait_seconds=wait_seconds, address=service.address, port=service.port)
    # UDP knows no end of a conversation, so the answer is watched for instead of waiting for the sender to end.
    command = (
        f"echo {word} | {sender} > /tmp/{word} & n=0; "
        f"until [ -s /tmp/{word} ] || [ $n = {wait_seconds * 10} ]; do n=$((n+1)); sleep 0.1; done; cat /tmp/{word}"
    )
    return guest.run(command, within_seconds=wait_seconds + 5).text == word


@dataclass(frozen=True)
class Bulk:
    """A transfer both ways: bytes sent, bytes that came back, and whether they are the same bytes."""

    sent: int
    returned: int
    intact: bool

    def __str__(self) -> str:
        return f"{self.returned} of {self.sent} bytes came back{'' if self.intact else ', not the same'}"


def bulk(guest: Guest, service: Endpoint, size_bytes: int, wait_seconds: int = 20) -> Bulk:
    """Send `size_bytes` random bytes by TCP to a service that returns them, and compare.

    A ping passes on many a host where this stalls: see F09 and F14 in the catalogue of host faults. What is not back in
    time is sent once more with longer patience.
    """
    seen = Bulk(size_bytes, 0, False)
    for patience_seconds in turns(wait_seconds):
        seen = _bulk(guest, service, size_bytes, whole(patience_seconds))
        if seen.returned == seen.sent:
            break
    return seen


def _bulk(guest: Guest, service: Endpoint, size_bytes: int, wait_seconds: int) -> Bulk:
    block = secrets.token_bytes(4096)
    content = block * (size_bytes // len(block))
    guest.put("/tmp/block", block)
    # Made in the guest, because the way in is a serial line; `yes` repeats the name once for every block.
    fill = f"cat $(yes /tmp/block | head -n {size_bytes // len(block)}) > /tmp/there"
    send = f"socat -t {wait_seconds} - TCP4:{service.address}:{service.port},connect-timeout={wait_seconds}"
    command = f"{fill}; timeout {wait_seconds} {send} < /tmp/there > /tmp/back; wc -c < /tmp/back; md5sum < /tmp/back"
    answer = guest.run(command, within_seconds=wait_seconds + 5).text.split()
    digest = hashlib.md5(content, usedforsecurity=False).hexdigest()
    return Bulk(len(content), int(answer[0]), answer[1] == digest)
