"""Who can be reached from where by TCP and UDP, called by a guest or calling one.

A guest's service says a word of its own, so that an answer proves who gave it. A connection to a forwarded port proves
nothing: libslirp accepts it before it knows whether anybody is there.
"""

import secrets
from collections.abc import Iterator
from dataclasses import dataclass

from qemunet_tests.errors import HarnessError
from qemunet_tests.guest.guest import Guest
from qemunet_tests.isolation.station import SOCKETS, Station
from qemunet_tests.network.target import Endpoint
from qemunet_tests.observe.command_place import GuestPlace
from qemunet_tests.observe.nic import family_awaited
from qemunet_tests.timeouts import turns, whole

#: For so long whoever calls waits for an answer on an idle machine. A kernel asks for a connection a third time after
#: three seconds; a datagram that is lost nobody repeats but us, and then as patiently once more.
PATIENCE_SECONDS = {"TCP": 4.0, "UDP": 3.0}
NO_ANSWER, NO_WORD = "no answer", "hangs up without a word"


def echoes(guest: GuestPlace, protocol: str, service: Endpoint, wait_seconds: float | None = None) -> bool:
    """Whether a word sent from a guest to a service comes back; `protocol` is `TCP` or `UDP`."""
    return any(
        _echoes(guest, protocol, service, whole(each_seconds)) for each_seconds in _turns(protocol, wait_seconds)
    )


def _turns(protocol: str, wait_seconds: float | None) -> Iterator[float]:
    return turns(PATIENCE_SECONDS[protocol] if wait_seconds is None else wait_seconds, again=protocol == "UDP")


def _echoes(guest: GuestPlace, protocol: str, service: Endpoint, wait_seconds: int) -> bool:
    word = secrets.token_hex(8)
    words = {"TCP": guest.tools.send_tcp, "UDP": guest.tools.send_udp}[protocol]
    sender = service.called_by(words, wait_seconds=wait_seconds)
    # By TCP the sender's end is no part of the question: it is not told before the answer has come.
    kept_open = f"; until [ -e /tmp/{word}.read ]; do sleep 0.1; done" if protocol == "TCP" else ""
    # UDP knows no end of a conversation, so the answer is watched for instead of waiting for the sender to end.
    command = (
        f"{family_awaited(service.version, wait_seconds)}{{ echo {word}{kept_open}; }} | {sender} > /tmp/{word} & n=0; "
        f"until [ -s /tmp/{word} ] || [ $n = {wait_seconds * 10} ]; do n=$((n+1)); sleep 0.1; done; cat /tmp/{word}; "
        f"touch /tmp/{word}.read"
    )
    return guest.run(command, within_seconds=2 * wait_seconds + 5).text == word


@dataclass(frozen=True)
class BannerAnswer:
    """What became of a call: `answered` by anybody at all, and what kept us from hearing the guest's own word."""

    answered: bool
    trouble: str = ""

    @property
    def right(self) -> bool:
        """Whether it was the guest, with the word that was asked for."""
        return self.answered and not self.trouble

    def __str__(self) -> str:
        return self.trouble or "answers"


@dataclass(frozen=True)
class BannerService:
    """A service of a guest that says `word` to everybody who comes."""

    guest: Guest
    port: int
    protocol: str
    word: str

    def must_answer(self) -> None:
        """Raises HarnessError where it is silent in the guest itself: whoever called it there is no witness then."""
        words = {"TCP": self.guest.tools.exchange, "UDP": self.guest.tools.send_udp}[self.protocol]
        for patience_seconds in turns(2):
            wait = whole(patience_seconds)
            call = Endpoint("127.0.0.1", self.port).called_by(words, wait_seconds=wait)
            heard = self.guest.run(f"echo | timeout {wait + 1} {call}", within_seconds=2 * wait + 5)
            if heard.text.strip() == self.word:
                return
        raise HarnessError(
            f"the service that the guest was given at {self.protocol} {self.port} is silent in the guest"
        )


def put_up(guest: Guest, port: int, protocol: str = "TCP") -> BannerService:
    """Have the guest say a word at a port, to everybody who comes. `protocol` is TCP or UDP."""
    word = secrets.token_hex(8)
    say = {"TCP": guest.tools.say_tcp, "UDP": guest.tools.say_udp}[protocol].format(port=port, word=word)
    guest.check(f"setsid {say} >/dev/null 2>&1 </dev/null &")
    table = f"/proc/net/{protocol.lower()}"
    guest.check(f"until grep -q ':{port:04X} 00000000:0000' {table}; do sleep 0.02; done")
    return BannerService(guest, port, protocol, word)


def read_at(
    service: BannerService, station: Station, address: str, port: int, wait_seconds: float | None = None
) -> BannerAnswer:
    """What a guest's service says at an address and port to somebody who calls from a station, and to him once more.

    Without an answer he calls again where the call may have got lost. Raises HarnessError where nobody answers, and
    the service does not in the guest.
    """
    first = _called(service, station, address, port, wait_seconds)
    answer = _called(service, station, address, port, wait_seconds) if first.right else first
    if answer.trouble in (NO_ANSWER, NO_WORD):
        service.must_answer()
    return answer


def _called(
    service: BannerService, station: Station, address: str, port: int, wait_seconds: float | None
) -> BannerAnswer:
    answer = BannerAnswer(False, NO_ANSWER)
    for patience_seconds in _turns(service.protocol, wait_seconds):
        answer = _read_at(service, station, address, port, patience_seconds)
        if answer.trouble != NO_ANSWER:
            break
    return answer


def _read_at(service: BannerService, station: Station, address: str, port: int, wait_seconds: float) -> BannerAnswer:
    with station.open_socket(SOCKETS[service.protocol], address) as caller:
        caller.settimeout(wait_seconds)
        try:
            caller.connect((address, port))
            if service.protocol == "UDP":
                caller.send(b"who is there?")
            said = caller.recv(64).decode(errors="replace").strip()
        except TimeoutError:
            return BannerAnswer(False, NO_ANSWER)
        except OSError as refusal:
            return BannerAnswer(False, refusal.strerror or str(refusal))
    if not said:
        return BannerAnswer(False, NO_WORD)
    return BannerAnswer(True, "" if said == service.word else "another service answers")
