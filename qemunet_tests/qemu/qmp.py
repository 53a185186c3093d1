"""QEMU's monitor, by qemu.qmp over a socket that QEMU was started with."""

import asyncio
import contextlib
import signal
import socket
from collections.abc import Callable
from typing import Any

from qemu.qmp import ExecuteError, QMPClient
from qemu.qmp.error import QMPError

from qemunet_tests.deadline import Deadline
from qemunet_tests.errors import HarnessError, TimedOut
from qemunet_tests.qemu.standstill import LOOK_SECONDS, StandsStill
from qemunet_tests.signal_handlers import put_off

#: For one command.
ANSWER_SECONDS = 20.0


class Monitor:
    """A machine-readable monitor whose every command waits for its answer."""

    def __init__(self, connection: socket.socket, name: str, fate: Callable[[], str] = lambda: "") -> None:
        """`fate` says what has become of QEMU, once it has hung up."""
        # Half of one, after Ctrl-C, would tell on standard error that it cannot be closed.
        with put_off(signal.SIGINT, signal.SIGTERM):
            self._loop = asyncio.new_event_loop()
        self._client = QMPClient(name)
        self._connection = connection
        self._fate = fate
        self.log: list[str] = []

    def connect(self, within_seconds: float, is_in_vain: Callable[[], bool] = lambda: False) -> None:
        """Wait for QEMU's greeting. Raises TimedOut, StandsStill where that `is_in_vain`, HarnessError."""
        self._await(self._client.connect(self._connection), within_seconds, "to greet", is_in_vain)

    def require_answer(self, is_in_vain: Callable[[], bool]) -> None:
        """Ask something. Raises StandsStill where waiting `is_in_vain`, and as `execute` does."""
        self._await(self._client.execute("query-status"), ANSWER_SECONDS, "to answer query-status", is_in_vain)

    def execute(self, command: str, within_seconds: float = ANSWER_SECONDS, **arguments: Any) -> Any:
        """One QMP command. Raises HarnessError with QEMU's own words when it refuses, TimedOut without an answer."""
        self.log.append(f"-> {command} {arguments or ''}".rstrip())
        answer = self._await(
            self._client.execute(command, arguments), within_seconds, f"to answer {command}", fate=self._fate
        )
        self.log.append(f"<- {answer}")
        return answer

    def ask(self, line: str) -> str:
        """One line of the human monitor, for what has no QMP command: `info network`, `info usernet`."""
        answer: str = self.execute("human-monitor-command", **{"command-line": line})  # type: ignore[arg-type]
        return answer.replace("\r\n", "\n")

    def give(self, descriptor: int, name: str) -> None:
        """Have QEMU know an open file of ours by a name: `getfd`. Raises as `execute` does."""
        # It comes along with a byte, and one that means nothing to the monitor may stand before a command.
        socket.send_fds(self._connection, [b" "], [descriptor])
        self.execute("getfd", fdname=name)

    def events(self) -> list[dict[str, Any]]:
        """What QEMU told by itself since this was asked last, in its order."""
        # Whatever it told before it answers is there when the answer is.
        self.execute("query-name")
        return [dict(event) for event in self._client.events.clear()]

    def close(self) -> None:
        """Hang up, whatever state the connection is in."""
        if self._loop.is_closed():
            return
        with contextlib.suppress(HarnessError):
            self._await(self._client.disconnect(), 1.0, "to hang up")
        # A connection that broke down leaves tasks behind, which would wait for this loop for ever.
        left = asyncio.all_tasks(self._loop)
        for task in left:
            task.cancel()
        if left:
            self._loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
        self._loop.close()
        self._connection.close()

    def _await(
        self,
        answer: Any,
        within_seconds: float,
        awaited: str,
        is_in_vain: Callable[[], bool] | None = None,
        fate: Callable[[], str] = lambda: "",
    ) -> Any:
        if self._loop.is_closed():
            answer.close()
            raise self._noted(HarnessError(f"QEMU's monitor, asked {awaited}: the connection was closed before"))
        whose = f"QEMU's monitor {awaited}"
        try:
            return self._finish(self._loop.create_task(_in_time(answer, Deadline(within_seconds, whose), is_in_vain)))
        except TimedOut as late:
            raise self._noted(late) from None
        except (QMPError, OSError, EOFError) as error:
            said = str(error) or type(error).__name__
            if not isinstance(error, ExecuteError) and (became := fate()):
                said = f"{said}; {became}"
            raise self._noted(HarnessError(f"QEMU's monitor, asked {awaited}: {said}")) from error

    def _finish(self, task: "asyncio.Task[Any]") -> Any:
        try:
            return self._loop.run_until_complete(task)
        except KeyboardInterrupt:
            # It would go on beside the next thing that is asked of the monitor, and that is to hang up.
            task.cancel()
            self._loop.run_until_complete(asyncio.wait([task]))
            raise

    def _noted(self, error: HarnessError) -> HarnessError:
        self.log.append(f"!! {error}")
        return error


async def _in_time(answer: Any, deadline: Deadline, is_in_vain: Callable[[], bool] | None) -> Any:
    """The answer. Raises TimedOut."""
    answering = asyncio.ensure_future(answer)
    try:
        while not answering.done():
            deadline.check()
            left = deadline.remaining_seconds
            await asyncio.wait([answering], timeout=min(left, LOOK_SECONDS) if is_in_vain else left)
            if is_in_vain and not answering.done() and is_in_vain():
                raise StandsStill
    except BaseException:
        answering.cancel()
        await asyncio.wait([answering])
        raise
    return answering.result()
