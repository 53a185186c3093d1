#!/bin/sh
# A prefix of no bits becomes one of 64.
cd "$(dirname "$0")" && exec python3 - <<'EOF'
from frames import Network, says
with Network("ipv6-net=fec0::/0") as network:
    length = network.advertisement()[3][2]
    says(length != 0, f"a prefix of {length} bits is advertised")
EOF
