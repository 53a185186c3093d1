"""Whether the resolver that libslirp asks is alive, found out without a packet leaving the machine.

A resolver of the machine itself is asked for `localhost`, a name that no resolver may pass on (RFC 6761, 6.3). One on
another machine is not asked: whether there is a route is all that is said of it.
"""

import os
import secrets
import socket
import struct
from dataclasses import dataclass
from typing import Literal

QueryOutcome = Literal["answers", "silent", "closed", "elsewhere", "no route", "not asked"]

PORT = 53
ANSWER_SECONDS = 0.5
IDENTIFIER_BYTES = 2
#: Types and classes of what is asked (RFC 1035, 3.2): IPv4 addresses, name servers, a text of the server's own.
ADDRESSES, NAME_SERVERS, OWN_TEXT = (1, 1), (2, 1), (16, 3)


@dataclass(frozen=True)
class ResolverState:
    """`elsewhere`: on another machine, which a route leads to. `closed`: nobody listens."""

    outcome: QueryOutcome
    detail: str = ""


NOT_ASKED = ResolverState("not asked")


def ask(address: str | None, port: int = PORT, within_seconds: float = ANSWER_SECONDS) -> ResolverState:
    """What becomes of a question to an IPv4 resolver; nothing is sent unless the address is this machine's own."""
    if address is None:
        return NOT_ASKED
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        try:
            # Chooses a route and sends nothing.
            asking.connect((address, port))
        except OSError as refused:
            return ResolverState("no route", os.strerror(refused.errno or 0))
        if not _is_ours(asking.getsockname()[0], address):
            return ResolverState("elsewhere")
        return _converse(asking, within_seconds)


def _is_ours(source: str, address: str) -> bool:
    """An address of the machine is reached from that address itself, one of the loopback network from another."""
    return source == address or (address.startswith("127.") and source.startswith("127."))


def _converse(asking: socket.socket, within_seconds: float) -> ResolverState:
    identifier = secrets.token_bytes(IDENTIFIER_BYTES)
    asking.settimeout(within_seconds)
    try:
        asking.send(question("localhost", identifier, recursive=False))
        while not asking.recv(512).startswith(identifier):
            continue
    except ConnectionRefusedError:
        return ResolverState("closed")
    except TimeoutError:
        return ResolverState("silent", f"within {within_seconds} s")
    except OSError as refused:
        return ResolverState("no route", os.strerror(refused.errno or 0))
    return ResolverState("answers")


def question(name: str, identifier: bytes, recursive: bool = True, about: tuple[int, int] = ADDRESSES) -> bytes:
    """What is asked about a name (RFC 1035, 4.1), with a dot behind it or without; `recursive`: of others as well."""
    recursion_desired = 0x0100 * recursive
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split(".") if label)
    header = identifier + struct.pack("!5H", recursion_desired, 1, 0, 0, 0)
    return header + labels + struct.pack("!x2H", *about)
