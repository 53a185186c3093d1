#!/bin/sh
# A request to write by TFTP is refused with an error, says RFC 1350. libslirp says nothing.
cd "$(dirname "$0")" && folder=$(mktemp -d) && python3 - "$folder" <<'EOF' ; rm -r "$folder"
import sys
from frames import Network, says
with Network(f"tftp={sys.argv[1]}") as network:
    network.send_udp(69, b"\0\2new\0octet\0")  # opcode 2: a request to write
    assert network.taken()
    says(not network.held, f"{network.udp_answer(0.1) or 'no answer'} to a request to write")
EOF
