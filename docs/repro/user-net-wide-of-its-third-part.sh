#!/bin/sh
# The fifteenth address of 10.8.0.0/16 is 10.8.0.15. Leased is another one.
cd "$(dirname "$0")" && exec python3 - <<'EOF'
from frames import Network, says
with Network("net=10.8.0.0/16", asked=6) as network:
    address = network.dhcp()[0]
    says(address != "10.8.0.15", f"the first client is offered {address}")
EOF
