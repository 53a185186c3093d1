"""SMB as far as two strangers get: a client names dialects, and the server chooses: [MS-SMB2], 2.2.3 and 2.2.4."""

import struct

#: [MS-SMB2], 2.2.3: the dialect that is offered, and how it is called.
DIALECT, DIALECTS = 0x0210, {0x0210: "SMB 2.1"}
HEADER_BYTES, MAGIC = 64, b"\xfeSMB"
#: Of an answer, the dialect that it chooses included; NetBIOS puts four before.
ENOUGH_BYTES = 4 + HEADER_BYTES + 6
#: smbd asks for names and opens its databases before it says a word.
SERVER_SECONDS = 20.0


def request() -> bytes:
    """A NEGOTIATE request, with the four bytes of NetBIOS (RFC 1002) before it."""
    header = struct.pack("<4sHHIHHIIQIIQ16s", MAGIC, HEADER_BYTES, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, bytes(16))
    body = struct.pack("<HHHHI16sQH", 36, 1, 1, 0, 0, bytes(16), 0, DIALECT)
    return struct.pack(">I", len(header + body)) + header + body


def chosen(answer: bytes) -> str:
    """The dialect that a server's answer chooses, `no SMB` where it is none of its kind."""
    body = answer[4 + HEADER_BYTES :]
    if answer[4:8] != MAGIC or len(body) < 6:
        return "no SMB" if answer else "no answer"
    number = struct.unpack_from("<H", body, 4)[0]
    return DIALECTS.get(number, f"SMB dialect {number:#x}")
