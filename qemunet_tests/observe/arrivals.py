"""What reaches a guest unasked, and what leaves it by other protocols than TCP and UDP."""

import secrets
import socket

from qemunet_tests.harness.deadline import Deadline
from qemunet_tests.harness.guest import Guest
from qemunet_tests.harness.lab.station import Station


def serve_echo(guest: Guest, port: int) -> None:
    """Have a guest send back what comes to a TCP port."""
    guest.check(f"setsid socat TCP4-LISTEN:{port},reuseaddr,fork PIPE >/dev/null 2>&1 </dev/null &")
    _wait_for_socket(guest, "tcp", port)


def echoed(station: Station, address: str, port: int, within_seconds: float = 5.0) -> bool:
    """Whether a word sent by TCP from a station to a service comes back."""
    word = secrets.token_hex(8).encode()
    try:
        with station.connect(address, port, within_seconds) as connection:
            connection.sendall(word)
            return connection.recv(len(word), socket.MSG_WAITALL) == word
    except OSError:
        return False


def arrives_at_station(guest: Guest, station: Station, address: str, protocol: int) -> bool:
    """Whether a packet of an IP protocol, by number, that a guest sends to `address` arrives at that station."""
    word = secrets.token_hex(8)
    with station.entered():
        listener = socket.socket(socket.AF_INET, socket.SOCK_RAW, protocol)
    with listener:
        guest.check(f"printf {word} | socat -u - IP4-SENDTO:{address}:{protocol}")
        deadline = Deadline(guest.pace.seconds(1.0), f"a packet of protocol {protocol}")
        listener.setblocking(False)
        return deadline.sees(lambda: word.encode() in _received(listener))


def arrives_at_guest(station: Station, guest: Guest, address: str, protocol: int) -> bool:
    """Whether a packet of an IP protocol, by number, sent from a station to a guest's `address` arrives there."""
    word = secrets.token_hex(8)
    file = f"/tmp/{word}"
    guest.check(f"setsid socat -u IP4-RECV:{protocol} CREATE:{file} >/dev/null 2>&1 </dev/null &")
    _wait_for_socket(guest, "raw", protocol)
    with station.entered():
        sender = socket.socket(socket.AF_INET, socket.SOCK_RAW, protocol)
    with sender:
        sender.sendto(word.encode(), (address, 0))
    deadline = Deadline(guest.pace.seconds(1.0), f"a packet of protocol {protocol}")
    return deadline.sees(lambda: word in (guest.read(file) or ""), interval_seconds=0.1)


def _received(listener: socket.socket) -> bytes:
    try:
        return listener.recv(65536)
    except OSError:
        return b""


def _wait_for_socket(guest: Guest, table: str, number: int) -> None:
    """Wait until a socket of the guest is bound to a port, or a raw one to a protocol."""
    guest.check(f"until grep -q ':{number:04X} ' /proc/net/{table}; do usleep 50000; done")
