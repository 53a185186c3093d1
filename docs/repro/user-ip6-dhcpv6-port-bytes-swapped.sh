#!/bin/sh
# DHCPv6 answers from port 8962, 0x2302, and not from port 547, 0x0223.
cd "$(dirname "$0")" && exec python3 - <<'EOF'
from frames import Network, says
with Network("bootfile=file", asked=6) as network:
    port, _ = network.dhcp6(59)
    says(port != 547, f"the answer comes from port {port}")
EOF
