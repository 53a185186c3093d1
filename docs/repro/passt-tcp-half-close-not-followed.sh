#!/bin/sh
# The guest ends its side and goes on to listen: what comes then comes again and again, or there is no more of it.
cd "$(dirname "$0")" && exec python3 - <<'END'
import socket
from frames import ACK, FIN, SYN, says
from passt import Passt
data, came, ended = bytes(range(250)) * 800, bytearray(), False
with Passt() as passt, socket.socket(socket.AF_INET6) as service:
    service.bind(("::1", 7008))
    service.listen()
    passt.send_tcp6(SYN, 7008, 1, 0)
    expected = (passt.receive_tcp6()[1] + 1) % 2**32
    passt.send_tcp6(ACK, 7008, 2, expected)
    passt.send_tcp6(ACK | FIN, 7008, 2, expected, b"?")
    connection, _ = service.accept()
    connection.settimeout(5)
    while connection.recv(1):
        pass
    connection.sendall(data)
    connection.shutdown(socket.SHUT_WR)
    try:
        while not ended and len(came) <= len(data):
            flags, number, content = passt.receive_tcp6()
            if number == expected and (content or flags & FIN):
                came, ended = came + content, flags & FIN
                expected = (expected + len(content)) % 2**32
                passt.send_tcp6(ACK, 7008, 4, expected)
    except TimeoutError:
        pass
says(bytes(came) != data, f"sent {len(data)} bytes, {len(came)} came, {'' if ended else 'no'} end")
END
