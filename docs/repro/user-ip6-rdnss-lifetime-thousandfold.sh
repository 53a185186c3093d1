#!/bin/sh
# The resolver is advertised for two weeks: milliseconds are taken for seconds.
cd "$(dirname "$0")" && exec python3 - <<'EOF'
from frames import Network, says
from host import own_network, resolv_conf
own_network()
resolv_conf("::1")
with Network() as network:
    seconds = int.from_bytes(network.advertisement()[25][4:8], "big")
    says(seconds != 1200, f"it is advertised for {seconds} s, and not for 1200 s")
EOF
