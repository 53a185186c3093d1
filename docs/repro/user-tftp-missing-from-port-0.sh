#!/bin/sh
# The error for a folder that is asked for by TFTP comes from port 0, and not from port 69.
cd "$(dirname "$0")" && folder=$(mktemp -d) && mkdir "$folder/below" && python3 - "$folder" <<'EOF' ; rm -r "$folder"
import sys
from frames import Network, says
with Network(f"tftp={sys.argv[1]}") as network:
    network.send_udp(69, b"\0\1below\0octet\0")
    port, answer = network.udp_answer()
    says(port == 0, f"{answer} comes from port {port}")
EOF
