#!/bin/sh
# Two REQUESTs that take the offer of another server, 10.0.2.99, are answered: one by an ACK (5), one by a NAK (6).
cd "$(dirname "$0")" && python3 - <<'EOF'
import socket
from frames import Network, says
with Network() as network:
    bootp = bytes([1, 1, 6, 0]) + b"qnet" + bytes(20) + bytes.fromhex("525400123456") + bytes(202)
    other, kinds = socket.inet_aton("10.0.2.99"), []
    for wish in ("10.0.2.20", "10.9.9.15"):
        options = b"\x35\x01\x03" + b"\x32\x04" + socket.inet_aton(wish) + b"\x36\x04" + other + b"\xff"
        network.send_udp(67, bootp + b"\x63\x82\x53\x63" + options, own_port=68)
        kinds += [answer[1][242]] if network.taken() and (answer := network.udp_answer(0.1)) else []
    says(kinds == [5, 6], f"message types {kinds} come")
EOF
