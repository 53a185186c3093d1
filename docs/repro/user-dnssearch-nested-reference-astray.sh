#!/bin/sh
# The third of three search domains, each a part of the next, ends in a reference into the middle of a label.
cd "$(dirname "$0")" && python3 - <<'EOF'
from frames import Network, says
with Network("dnssearch=example.org", "dnssearch=lab.example.org", "dnssearch=sub.lab.example.org") as network:
    bootp = bytes([1, 1, 6, 0]) + b"qnet" + bytes(20) + bytes.fromhex("525400123456") + bytes(202)
    network.send_udp(67, bootp + bytes.fromhex("63825363 350101 ff"), own_port=68)
    _, offer = network.udp_answer()
    option = offer.find(b"\x07example\x03org")
    coded = offer[option : option + offer[option - 1]]
    says(coded.endswith(b"\x03sub\xc0\x02"), f"option 119 is {coded}, where \\xc0\\x0d is the place of lab.example.org")
EOF
