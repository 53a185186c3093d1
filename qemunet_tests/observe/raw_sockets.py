"""What reaches a guest unasked, in protocols that are neither TCP nor UDP."""

from types import TracebackType

from qemunet_tests.deadline import Deadline
from qemunet_tests.guest.guest import Guest
from qemunet_tests.observe.protocols import PROTOCOLS


class GuestEar:
    """Hears all packets of PROTOCOLS that reach a guest."""

    def __init__(self, guest: Guest) -> None:
        self._guest = guest
        self._numbers = [number for number, _ in PROTOCOLS.values()]

    def __enter__(self) -> "GuestEar":
        for number in self._numbers:
            self._guest.check(
                f"setsid socat -u IP4-RECV:{number} CREATE:/tmp/heard.{number} >/dev/null 2>&1 </dev/null &"
            )
            self._guest.check(f"until grep -q ':{number:04X} ' /proc/net/raw; do usleep 20000; done")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._guest.run("killall socat; rm -f /tmp/heard.*")

    def hears_all(self, word: bytes, within_seconds: float = 3.0) -> bool:
        """Whether the word arrives in every protocol. `within_seconds` is meant for KVM."""
        arriving = Deadline(self._guest.pace.seconds(within_seconds), "packets of every protocol")
        return arriving.sees(lambda: all(self._heard(number, word) for number in self._numbers), interval_seconds=0.1)

    def _heard(self, number: int, word: bytes) -> bool:
        return word in self._guest.run(f"cat /tmp/heard.{number}").stdout
