"""Watching a transfer from the host: who holds which connection, what it moved, what it cost."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from qemunet_tests.deadline import Deadline
from qemunet_tests.host.socket_table import held_by
from qemunet_tests.throughput import cpu
from qemunet_tests.throughput.sockets import Account, Connection, Ends

TICK_SECONDS = 0.05
#: The kernel tells of the end of a connection a moment after it.
LAST_WORDS_SECONDS = 0.25
#: What iperf3's control connection may carry before data is taken to flow.
TALK_BYTES = 65536
#: Of all that a transfer moved, what the part that is judged must have.
LEAST_SHARE = 0.1
NOTHING = Connection(("", 0, "", 0), 0, 0, 0, 0)


@dataclass(frozen=True)
class Tick:
    """One look: monotonic seconds, CPU seconds of subject and server so far, bytes the server has moved so far."""

    at_seconds: float
    subject_cpu_seconds: float
    server_cpu_seconds: float
    moved_bytes: int


class Sampler:
    """Looks twenty times a second, from a thread, while the caller waits for the guest.

    `owners` are the processes whose own connections to the server's `port` count as the subject's; what a connection
    had moved before is left out. `moved` tells what was moved where no connection of the host does.
    """

    def __init__(
        self,
        account: Account,
        subject: Sequence[int],
        owners: Sequence[int],
        server: int,
        port: int,
        moved: Callable[[], int] | None = None,
    ) -> None:
        self.ticks: list[Tick] = []
        self.owned: dict[Ends, Connection] = {}
        self._final: dict[Ends, Connection] = {}
        self._account, self._subject, self._owners = account, subject, owners
        self._server, self._port = server, port
        self._moved = moved
        self._moved_bytes = 0
        self._enough = threading.Event()
        self._thread = threading.Thread(target=self._look_on, name="watch", daemon=True)
        list(account.ended(port))  # of earlier transfers
        self._before = {each.ends: each for each in account.alive(port)}
        self._moved_before = moved() if moved else 0
        # The first look, so that there is one however busy the machine is.
        self._look()
        self._thread.start()

    def stop(self) -> None:
        """Look no more, and hear the last words of the subject's connections."""
        self._enough.set()
        self._thread.join()
        if self.owned.keys() & self._before.keys():
            # A connection that outlives the transfer has no last words.
            self._look()
        else:
            Deadline(LAST_WORDS_SECONDS, "the kernel's last word").sees(self._all_final)

    @property
    def ours_cpu_seconds(self) -> float:
        """What subject and server have spent while it was looked on."""
        first, last = self.ticks[0], self.ticks[-1]
        spent = last.subject_cpu_seconds - first.subject_cpu_seconds
        # Between guests the server's process is one of the subject's.
        served = 0.0 if self._server in self._subject else last.server_cpu_seconds - first.server_cpu_seconds
        return spent + served

    @property
    def subject_acked_bytes(self) -> int:
        """What the subject's own sockets sent to the server and had acknowledged."""
        return sum(self._last(ends).acked_bytes - self._earlier(ends).acked_bytes for ends in self.owned)

    @property
    def subject_received_bytes(self) -> int:
        return sum(self._last(ends).received_bytes - self._earlier(ends).received_bytes for ends in self.owned)

    @property
    def complete(self) -> bool:
        """Whether the counts of the subject's connections are final ones."""
        return bool(self.owned) and set(self.owned) <= set(self._final)

    def _last(self, ends: Ends) -> Connection:
        return self._final.get(ends, self.owned[ends])

    def _earlier(self, ends: Ends) -> Connection:
        return self._before.get(ends, NOTHING)

    def _served(self, connections: Iterable[Connection]) -> int:
        """What the server's own connections have moved since the watch began."""
        ours = [(each, self._earlier(each.ends)) for each in connections if each.ends[1] == self._port]
        return sum(
            max(now.acked_bytes - then.acked_bytes, now.received_bytes - then.received_bytes) for now, then in ours
        )

    def _all_final(self) -> bool:
        self._final |= {connection.ends: connection for connection in self._account.ended(self._port)}
        return set(self.owned) <= set(self._final)

    def _look_on(self) -> None:
        # A process that died cannot be looked at; that it did is told to whoever waits for the guest.
        with contextlib.suppress(OSError):
            while not self._enough.wait(TICK_SECONDS):
                self._look()

    def _look(self) -> None:
        held = {inode for pid in self._owners for inode in held_by(pid)}
        alive = self._account.alive(self._port)
        now, spent, server = time.monotonic(), cpu.seconds(self._subject), cpu.seconds([self._server])
        moved = self._moved() - self._moved_before if self._moved else self._served(alive)
        self._moved_bytes = max(self._moved_bytes, moved)
        self.owned |= {each.ends: each for each in alive if each.ends[3] == self._port and each.inode in held}
        self.ticks.append(Tick(now, spent, server, self._moved_bytes))


def steady(ticks: Sequence[Tick], skip_seconds: float) -> tuple[Tick, Tick] | None:
    """First and last look of the transfer without its first `skip_seconds`; None where there were too few."""
    flowing = [tick for tick in ticks if tick.moved_bytes > TALK_BYTES]
    if not flowing:
        return None
    last_bytes = flowing[-1].moved_bytes
    end = next(tick for tick in flowing if tick.moved_bytes == last_bytes)
    skipped = [tick for tick in flowing if tick.at_seconds >= flowing[0].at_seconds + skip_seconds]
    # On a machine so busy that we could not look in time, what we have seen must do.
    for first in (*skipped[:1], flowing[0]):
        if end.moved_bytes - first.moved_bytes > LEAST_SHARE * end.moved_bytes:
            return first, end
    return None


def cpu_seconds_per_gb(ticks: Sequence[Tick], skip_seconds: float) -> float | None:
    """What the subject spent on a gigabyte (10^9 bytes) in the steady part of a transfer."""
    if not (span := steady(ticks, skip_seconds)):
        return None
    first, last = span
    spent = last.subject_cpu_seconds - first.subject_cpu_seconds
    return spent / (last.moved_bytes - first.moved_bytes) * 1e9
