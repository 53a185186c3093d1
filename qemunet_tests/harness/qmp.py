"""QEMU's monitor, by qemu.qmp over a socket that QEMU was started with."""

import asyncio
import socket
from typing import Any

from qemu.qmp import QMPClient
from qemu.qmp.error import QMPError

from qemunet_tests.harness.errors import HarnessError


class Monitor:
    """A machine-readable monitor whose every command waits for its answer."""

    def __init__(self, connection: socket.socket, name: str) -> None:
        self._loop = asyncio.new_event_loop()
        self._client = QMPClient(name)
        self._connection = connection
        self.log: list[str] = []

    def connect(self, within_seconds: float) -> None:
        """Wait for QEMU's greeting. Raises HarnessError."""
        self._await(self._client.connect(self._connection), within_seconds, "its greeting")

    def execute(self, command: str, within_seconds: float = 20.0, **arguments: Any) -> Any:
        """One QMP command. Raises HarnessError with QEMU's own words when it refuses or does not answer."""
        self.log.append(f"-> {command} {arguments or ''}".rstrip())
        answer = self._await(self._client.execute(command, arguments), within_seconds, command)
        self.log.append(f"<- {answer}")
        return answer

    def ask(self, line: str) -> str:
        """One line of the human monitor, for what has no QMP command: `info network`, `info usernet`."""
        answer: str = self.execute("human-monitor-command", **_command_line(line))
        return answer.replace("\r\n", "\n")

    def close(self) -> None:
        """Hang up, whatever state the connection is in."""
        if self._loop.is_closed():
            return
        try:
            self._await(self._client.disconnect(), 5.0, "the monitor to hang up")
        except HarnessError as error:
            self.log.append(str(error))
        self._loop.close()

    def _await(self, answer: Any, within_seconds: float, awaited: str) -> Any:
        try:
            return self._loop.run_until_complete(asyncio.wait_for(answer, within_seconds))
        except TimeoutError as late:
            raise HarnessError(f"QEMU's monitor gave no answer to {awaited} in {within_seconds:.3g} s") from late
        except (QMPError, OSError, EOFError) as error:
            raise HarnessError(f"QEMU's monitor, asked for {awaited}: {error}") from error


def _command_line(line: str) -> dict[str, Any]:
    # QMP's name of this argument is no name in Python.
    return {"command-line": line}
