"""Who can be reached from where, by which protocol."""

import hashlib
import re
import secrets
from dataclasses import dataclass

from qemunet_tests.harness.errors import HarnessError
from qemunet_tests.harness.guest import Guest
from qemunet_tests.harness.target import Endpoint
from qemunet_tests.observe.place import Place

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
    """Send ICMP echo requests from a place. Raises HarnessError where ping does not run."""
    command = f"ping -n -c {count} -i 0.3 -W {wait_seconds} -s {size_bytes} {address}"
    answer = place.run(command, within_seconds=count * 0.3 + wait_seconds + 5)
    match = RECEIVED.search(answer.text)
    # An unreachable network is an answer; no ping program is none.
    if match is None and "unreachable" not in answer.complaint:
        raise HarnessError(f"ping did not run: {answer.complaint or answer.text}")
    return Ping(int(match[1]), int(match[2])) if match else Ping(count, 0)


def echoes(guest: Place, protocol: str, service: Endpoint, wait_seconds: int = 5) -> bool:
    """Whether a word sent from a guest to a service comes back; `protocol` is `TCP` or `UDP`."""
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

    A ping passes on many a host where this stalls: see F09 and F14 in the catalogue of host faults.
    """
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
