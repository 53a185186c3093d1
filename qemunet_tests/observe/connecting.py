"""Whether a TCP connection opens, and with which error it does not."""

from qemunet_tests.harness.guest import Guest
from qemunet_tests.harness.target import Endpoint


def refusal(guest: Guest, service: Endpoint, wait_seconds: int = 5) -> str:
    """The error with which a guest cannot connect, `Connection refused` for instance; empty where it can."""
    options = f"connect-timeout={wait_seconds}"
    command = f"socat -u OPEN:/dev/null TCP4:{service.address}:{service.port},{options}"
    ended = guest.run(command, within_seconds=wait_seconds + 5)
    return "" if ended.succeeded else ended.complaint.rpartition(": ")[2] or "no answer"
