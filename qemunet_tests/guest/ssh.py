"""SSH into a guest, by paramiko: used where SSH is what is tested, never to drive a guest."""

import logging
import socket
from dataclasses import dataclass

import paramiko

from qemunet_tests.deadline import Deadline
from qemunet_tests.errors import TimedOut
from qemunet_tests.guest.guest import Guest
from qemunet_tests.host.asking import Completed
from qemunet_tests.isolation.station import Station
from qemunet_tests.timeouts import turns

AUTHORIZED_KEYS = "/root/.ssh/authorized_keys"
#: The status ssh(1) ends with when there is no connection.
CONNECTION_FAILED = 255
CHUNK_BYTES = 65536
#: Kernels answer a call at once, a forward's and a guest's, however long the server behind takes to say something.
CONNECT_SECONDS = 3.0
#: Tells one guest from every other, and from the host.
BOOT_ID = "cat /proc/sys/kernel/random/boot_id"

# paramiko prints tracebacks of its threads through logging; what went wrong comes back as an exception too.
logging.getLogger("paramiko").addHandler(logging.NullHandler())


@dataclass(frozen=True)
class SshKey:
    """A key pair made for this run and never written to disk."""

    private: paramiko.PKey

    @classmethod
    def generate(cls) -> "SshKey":
        return cls(paramiko.ECDSAKey.generate(bits=256))

    @property
    def public_line(self) -> str:
        """The line that goes into an authorized_keys file."""
        return f"{self.private.get_name()} {self.private.get_base64()} qemunet"

    def admit_to(self, guest: Guest) -> None:
        """Let the holder of this key log in as root, as the guest's owner would have arranged."""
        guest.put(AUTHORIZED_KEYS, f"{self.public_line}\n".encode())
        guest.check(f"chmod 700 /root /root/.ssh; chmod 600 {AUTHORIZED_KEYS}")


@dataclass(frozen=True)
class SshSession:
    """Whether a session was one in the guest that was meant, and what kept it from being one."""

    in_the_guest: bool
    trouble: str = ""

    def __str__(self) -> str:
        return "a session in the guest" if self.in_the_guest else self.trouble or "a session elsewhere"


def log_in(key: SshKey, guest: Guest, station: Station, address: str, port: int) -> SshSession:
    """Have a guest admit a key, and log in with it from a station."""
    key.admit_to(guest)
    answer = ask(key, station, address, port, BOOT_ID, guest.pace.seconds(6))
    return SshSession(answer.text == guest.check(BOOT_ID), answer.complaint)


def ask(key: SshKey, station: Station, address: str, port: int, command: str, within_seconds: float) -> Completed:
    """Log in as root from a station and run a command.

    Like ssh(1), a session that cannot be had, or does not end in time, is status 255 with the reason on standard
    error. The transport waits for the server's banner, because a forwarded port accepts before anybody is there. Who
    does not answer in time is asked once more with longer patience.
    """
    late: Exception | None = None
    for patience_seconds in turns(within_seconds):
        try:
            called = station.connect(address, port, CONNECT_SECONDS)
        except OSError as problem:  # it has called again by itself
            late = problem
            break
        try:
            return _asked(key, called, address, port, command, within_seconds, patience_seconds)
        except (paramiko.SSHException, EOFError, OSError, TimedOut) as problem:
            late = problem
            if not _is_late(problem):
                break
    return Completed(CONNECTION_FAILED, b"", f"{type(late).__name__}: {late}".encode())


def _is_late(problem: Exception) -> bool:
    """paramiko has no type of its own for it."""
    return isinstance(problem, TimedOut | TimeoutError) or "banner" in str(problem) or "timeout" in str(problem).lower()


def _asked(
    key: SshKey,
    called: socket.socket,
    address: str,
    port: int,
    command: str,
    within_seconds: float,
    patience_seconds: float,
) -> Completed:
    client = paramiko.SSHClient()
    # The guest makes its host key when it boots: there is nothing it could be compared with.
    client.set_missing_host_key_policy(paramiko.AutoAddPolicy())
    try:
        client.connect(
            address, port, username="root", pkey=key.private, sock=called,
            # When `timeout` is over first, paramiko forgets to say that there was no banner.
            timeout=2 * patience_seconds, banner_timeout=patience_seconds, auth_timeout=patience_seconds,
            allow_agent=False, look_for_keys=False,
        )  # fmt: skip
        # It is put off by itself where the machine is busy: with a longer patience it would be so twice over.
        deadline = Deadline(within_seconds, f"{address}:{port} to answer over SSH: {command}")
        stdin, stdout, _ = client.exec_command(command, timeout=deadline.remaining_seconds)
        stdin.close()
        return _outcome(stdout.channel, deadline)
    finally:
        client.close()


def _outcome(channel: paramiko.Channel, deadline: Deadline) -> Completed:
    """Status and streams. Both streams are read as they come: a server stops when either is not."""
    output, errors = bytearray(), bytearray()

    def ended() -> bool:
        # Asked for first, so that what came before the end is read.
        over = bool(channel.closed or (channel.eof_received and channel.exit_status_ready()))
        while channel.recv_ready():
            output.extend(channel.recv(CHUNK_BYTES))
        while channel.recv_stderr_ready():
            errors.extend(channel.recv_stderr(CHUNK_BYTES))
        return over

    deadline.wait_until(ended, interval_seconds=0.005)
    status = channel.recv_exit_status()
    return Completed(CONNECTION_FAILED if status < 0 else status, bytes(output), bytes(errors))
