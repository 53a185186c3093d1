"""Whether a TCP connection opens, and with which error it does not."""

from qemunet_tests.guest.guest import Guest
from qemunet_tests.network.target import Endpoint
from qemunet_tests.timeouts import turns, whole

#: What is said where nobody says anything: by connect(2), and where the program does not give a reason.
NO_ANSWER = ("Connection timed out", "no answer")


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
    options = f"connect-timeout={wait_seconds}"
    command = f"socat -u OPEN:/dev/null TCP4:{service.address}:{service.port},{options}"
    ended = guest.run(command, within_seconds=wait_seconds + 5)
    return "" if ended.succeeded else ended.complaint.rpartition(": ")[2] or "no answer"
