#!/bin/sh
# A pool that begins at 10.0.2.1 leases the addresses of the gateway and of the resolver.
cd "$(dirname "$0")" && exec python3 - <<'EOF'
from frames import Network, says
with Network("dhcpstart=10.0.2.1") as network:
    addresses = [network.dhcp(mac=bytes([82, 84, 0, 0, 0, number]))[0] for number in range(3)]
    says("10.0.2.2" in addresses, f"three clients are offered {', '.join(addresses)}")
EOF
