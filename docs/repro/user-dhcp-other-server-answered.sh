#!/bin/sh
# Two REQUESTs that take the offer of another server, 10.0.2.99, are answered: one by an ACK (5), one by a NAK (6).
cd "$(dirname "$0")" && exec python3 - <<'EOF'
import socket
from frames import Network, says
with Network() as network:
    other, kinds = b"\x36\x04" + socket.inet_aton("10.0.2.99"), []
    for wish in ("10.0.2.20", "10.9.9.15"):
        answer = network.dhcp(3, b"\x32\x04" + socket.inet_aton(wish) + other)
        kinds += [answer[2][53][0]] if answer else []
    says(kinds == [5, 6], f"message types {kinds} come")
EOF
