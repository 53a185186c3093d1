#!/bin/sh
# A network without a mask is as large as in 1992, and begins elsewhere.
cd "$(dirname "$0")" && exec python3 - <<'EOF'
from frames import Network, says
with Network("net=192.168.76.0", asked=6) as network:
    address, _, options = network.dhcp()
    says(options[1] != b"\xff\xff\xff\0", f"of 192.168.76.0 becomes {address} with the mask {'.'.join(map(str, options[1]))}")
EOF
