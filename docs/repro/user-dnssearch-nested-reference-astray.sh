#!/bin/sh
# The third of three search domains, each a part of the next, ends in a reference into the middle of a label.
cd "$(dirname "$0")" && exec python3 - <<'EOF'
from frames import Network, says
with Network("dnssearch=example.org", "dnssearch=lab.example.org", "dnssearch=sub.lab.example.org") as network:
    coded = network.dhcp()[2][119]
    says(coded.endswith(b"\x03sub\xc0\x02"), f"option 119 is {coded}, where \\xc0\\x0d is the place of lab.example.org")
EOF
