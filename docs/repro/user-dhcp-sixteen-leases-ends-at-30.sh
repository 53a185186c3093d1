#!/bin/sh
# The manual counts addresses up to the 31st of the network. The seventeenth client gets none.
cd "$(dirname "$0")" && exec python3 - <<'EOF'
from frames import Network, says
with Network() as network:
    offers = [network.dhcp(mac=bytes([82, 84, 0, 0, 0, number])) for number in range(17)]
    addresses = [offer[0] for offer in offers if offer]
    says(len(addresses) == 16, f"{len(addresses)} of 17 clients are served, the last by {addresses[-1]}")
EOF
